"""A site whose people sign in by locum's redirect flow. Python's standard library only.

    LOCUM=http://127.0.0.1:8787 python3 site.py     # then open http://localhost:8000/

locum's configuration has server.public_url, a client with the source web, and
sign_in.return_to = ["http://localhost:8000/welcome"].
"""

import base64
import hashlib
import html
import http.server
import json
import os
import secrets
import urllib.error
import urllib.parse
import urllib.request

LOCUM = os.environ.get("LOCUM", "https://locum.example.org")
SITE = "http://localhost:8000"
# A real site keeps these in its sessions, and its cookie Secure.
verifiers, people = {}, {}


def redeem(code, verifier):
    body = json.dumps({"locum_code": code, "code_verifier": verifier}).encode()
    request = urllib.request.Request(LOCUM + "/v1/session", body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        browser = self.headers.get("Cookie", "").removeprefix("site=")
        if path == "/sign-in":
            # One verifier for each sign-in, kept with the browser that begins it.
            browser, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(32)
            verifiers[browser] = verifier
            challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
            ask = {"return_to": SITE + "/welcome", "challenge": challenge.decode()}
            self.redirect(LOCUM + "/v1/sign-in?" + urllib.parse.urlencode(ask), browser)
        elif path == "/welcome" and "locum_code" in query:
            try:
                answer = redeem(query["locum_code"], verifiers.pop(browser, ""))
                people[browser] = answer["user"]  # user.id is the name to keep; addresses change hands
            except urllib.error.HTTPError as error:
                print(json.load(error)["detail"])
            self.redirect("/")  # a clean address
        elif path == "/" or path == "/welcome":
            user = people.get(browser)
            words = f"Signed in as {html.escape(user['email'] or user['id'])}" if user else '<a href="/sign-in">Sign in</a>'
            self.answer(200, {"Content-Type": "text/html; charset=utf-8"}, words)
        else:
            self.answer(404, {}, "")

    def redirect(self, to, browser=None):
        cookie = {"Set-Cookie": f"site={browser}; HttpOnly; SameSite=Lax; Path=/"} if browser else {}
        self.answer(303, {"Location": to, "Referrer-Policy": "no-referrer", **cookie}, "")

    def answer(self, status, headers, words):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(words.encode())


if __name__ == "__main__":
    http.server.HTTPServer(("127.0.0.1", 8000), Site).serve_forever()
