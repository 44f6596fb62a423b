//! What the demo says: everything between the first line and the last can be pasted into bash.

use std::path::Path;

/// The whole page. `base` and `google` have no slash at their ends.
pub(super) fn welcome(base: &str, google: &str, people: &[&str], config_file: &Path, key: &str) -> String {
    let first = people.first().copied().unwrap_or_default();
    format!(
        r#"locum demo: a loopback Google and a real locum with a vault that is thrown away at the end.
Nothing leaves this machine and nobody is connected yet. Ctrl-C ends it.

  locum     {base}
  Google    {google}/  (its consent page and all it answers)
  people    {people}
  API key   {key}

Paste this into another terminal, step by step or all at once:

# 1. Alice signs in to an app; Google gives the app a one-time code.
code=$(curl -s {google}/emulator/codes -H 'Content-Type: application/json' -d '{{"person": "{first}"}}' | cut -d'"' -f4)

# 2. The app posts the code to locum, which trades it at Google and keeps the refresh token.
curl -s {base}/v1/exchange -H 'X-Requested-With: demo' -d "code=$code"; echo

# 3. From now on a program of yours gets fresh access tokens for Alice, whether she is there or not.
curl -s {base}/v1/users/{first}/token -H 'Authorization: Bearer {key}'; echo

# 4. Every other command works on the demo too.
export LOCUM_CONFIG={config}
locum user list
locum status
"#,
        people = people.join(", "),
        config = config_file.display(),
    )
}
