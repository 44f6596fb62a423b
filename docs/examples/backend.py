"""A back-end program that acts for people at Google with tokens from locum. Python's standard library only.

    LOCUM=http://127.0.0.1:8787 LOCUM_KEY_FILE=backend.key python3 backend.py alice@example.org
"""

import hashlib
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request


class ConsentRequired(Exception):
    """The person has to sign in again; until then nothing can be done for them."""


class Locum:
    def __init__(self, base: str, key: str):
        self.base = base.rstrip("/")
        self.key = key

    def token(self, user: str, rejected: str | None = None) -> str:
        """A fresh access token. `rejected` is one that an API has refused: it is not handed out again."""
        query = {"rejected": hashlib.sha256(rejected.encode()).hexdigest()} if rejected else {}
        url = f"{self.base}/v1/users/{urllib.parse.quote(user, safe='')}/token?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.key}"})
        for attempt in range(5):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)["access_token"]
            except urllib.error.HTTPError as error:
                problem = json.load(error)
                if problem["code"] == "consent_required":
                    raise ConsentRequired(f"{user}: {problem['detail']}") from None
                if not problem["retryable"] or attempt == 4:
                    raise RuntimeError(f"{problem['code']}: {problem['detail']}") from None
                time.sleep(float(error.headers.get("Retry-After", 2)))
        raise AssertionError("the last attempt returns or raises")

    def google(self, user: str, url: str) -> dict:
        """GET at Google for the user. Ask locum each time: it keeps the tokens, so there is nothing to keep here."""
        token = self.token(user)
        for again in (True, False):
            request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != 401 or not again:
                    raise
                token = self.token(user, rejected=token)
        raise AssertionError("the second round returns or raises")


if __name__ == "__main__":
    with open(os.environ["LOCUM_KEY_FILE"], encoding="ascii") as file:
        locum = Locum(os.environ.get("LOCUM", "http://127.0.0.1:8787"), file.read().strip())
    files = "https://www.googleapis.com/drive/v3/files?spaces=appDataFolder&fields=files(id,name)"
    print(json.dumps(locum.google(sys.argv[1], os.environ.get("GOOGLE_URL", files)), indent=2))
