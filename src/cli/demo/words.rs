//! What the demo says: everything from the first `echo` on can be pasted into bash or zsh. A `#` would be a
//! command to an interactive zsh, so that the explanations are printed.

use std::path::Path;

/// What the page tells of.
pub(super) struct Page<'a> {
    /// Where locum is, without a slash at the end.
    pub(super) base: &'a str,
    /// What opens the dashboard, once.
    pub(super) link: &'a str,
    /// Where the emulated Google is, without a slash at the end.
    pub(super) google: &'a str,
    /// Who can sign in.
    pub(super) people: &'a [&'a str],
    /// The API key.
    pub(super) key: &'a str,
    /// The configuration with which every other command finds this demo.
    pub(super) config_file: &'a Path,
    /// How this program is called from a shell.
    pub(super) program: &'a str,
}

/// The whole page.
pub(super) fn welcome(page: &Page<'_>) -> String {
    let Page { base, link, google, people, key, config_file, program } = page;
    let first = people.first().copied().unwrap_or_default();
    format!(
        r#"locum demo: a loopback Google and a real locum with a vault that is thrown away at the end.
Nothing leaves this machine and nobody is connected yet. Ctrl-C ends it.

  locum     {base}
  Google    {google}/  (its consent page and all it answers)
  people    {people}
  API key   {key}
  dashboard {link}
            (works once, for ten minutes; `locum admin link` below prints another)
  sign in   {base}/v1/sign-in?client=demo  (in a browser, as one of them)

Paste this into another terminal, step by step or all at once:

echo '1. Alice signs in to an app, and Google gives the app a one-time code.'
code=$(curl -s {google}/emulator/codes -H 'Content-Type: application/json' -d '{{"person": "{first}"}}' | cut -d'"' -f4)

echo '2. The app posts the code to locum, which trades it at Google and keeps the refresh token.'
curl -s {base}/v1/exchange -H 'X-Requested-With: demo' -d source=ios -d "code=$code"; echo

echo '3. From now on a program of yours gets fresh access tokens for Alice, whether she is there or not.'
curl -s {base}/v1/users/{first}/token -H 'Authorization: Bearer {key}'; echo

echo '4. It keeps files in the hidden app data of Alice in Drive, and reads what the app keeps there.'
curl -s -X PUT {base}/v1/users/{first}/app-data/notes/hello.txt -H 'Authorization: Bearer {key}' -H 'Content-Type: text/plain' -d 'Hello from the back-end'; echo
curl -s {base}/v1/users/{first}/app-data/notes/hello.txt -H 'Authorization: Bearer {key}'; echo

echo '5. Every other command works on the demo, too.'
export LOCUM_CONFIG={config}
{program} user list
{program} drive ls {first}
{program} admin link --print
{program} status
"#,
        people = people.join(", "),
        config = quoted(config_file),
    )
}

/// A path as one word of a shell.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(quoted(Path::new("/tmp/locum-1/x.toml")), "/tmp/locum-1/x.toml");
        assert_eq!(quoted(Path::new("/My Disk/it's")), r"'/My Disk/it'\''s'");
    }
}
