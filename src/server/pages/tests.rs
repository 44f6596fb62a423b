//! The pages: every text in every language, and nothing of others that is more than text.

use super::*;

const HOSTILE: &str = "<script>alert(1)</script>\"'&\u{202e}gro.live@x\u{2066}";

fn facts<'a>(missing: &'a ScopeSet, back: &'a Url) -> Facts<'a> {
    Facts {
        account: Some(HOSTILE),
        client: Some("main"),
        missing: Some(missing),
        code: Some("wrong_account"),
        again: true,
        back: Some(back),
    }
}

#[test]
fn every_text_is_there_in_every_language() {
    let mut seen = std::collections::BTreeSet::new();
    for language in Language::ALL {
        let words = language.words();
        let of = |text: Text| [text.title, text.what, text.next];
        let mut texts: Vec<&str> =
            Ending::ALL.iter().flat_map(|ending| of((words.ending)(*ending))).collect();
        for text in [words.sign_in, words.enter, words.opening] {
            texts.extend(of(text));
        }
        texts.extend([words.enter_button, words.open]);
        texts.extend(of(words.going_on).into_iter().chain(of(words.invitation)));
        texts.extend(Scope::ALL.iter().map(|scope| (words.scope)(*scope)));
        texts.extend([words.account, words.asked_by, words.server, words.site, words.asked_for]);
        texts.extend([
            words.not_granted,
            words.code,
            words.again,
            words.back,
            words.go,
            words.begin,
            words.until,
        ]);
        for text in texts {
            assert!(!text.is_empty() && text.trim() == text, "{language:?} {text:?}");
            let arabic = text.chars().any(|c| ('\u{600}'..='\u{6ff}').contains(&c));
            assert_eq!(arabic, language == Language::Arabic, "{language:?} {text:?}");
            // Names of Google's are its own; everything else is translated.
            let foreign = text.replace("Google", "").replace("Drive", "");
            if language == Language::Arabic {
                assert!(!foreign.bytes().any(|b| b.is_ascii_alphabetic()), "{text:?}");
            }
            seen.insert((language.tag(), text));
        }
    }
    let count = |tag| seen.iter().filter(|(own, _)| *own == tag).count();
    assert!(count("en") > 60 && count("ar") > 60, "{} {}", count("en"), count("ar"));
}

#[test]
fn what_others_wrote_is_text_and_isolated() {
    let missing: ScopeSet = ["openid", "https://evil.example/<b>"].iter().collect();
    let back = Url::parse("https://app.example.org/done?x=%22%3E").expect("an address");
    for language in Language::ALL {
        for ending in Ending::ALL {
            let page = Page::end(language, ending, &facts(&missing, &back));
            let body = page.body();
            assert!(!body.contains("<script") && !body.contains("<b>"), "{body}");
            assert!(!body.contains('\u{202e}') && !body.contains('\u{2066}'), "{body}");
            assert!(body.contains("<bdi>&lt;script&gt;alert(1)"), "{body}");
            assert!(body.contains(&format!(
                "<html lang=\"{}\" dir=\"{}\"",
                language.tag(),
                language.direction()
            )));
        }
    }
}

#[test]
fn a_page_asks_for_nothing_else() {
    let scopes = ScopeSet::parse("openid");
    let google = Url::parse("https://accounts.google.com/o/oauth2/v2/auth?a=1&state=x").expect("an address");
    let invitation = Invitation {
        account: HOSTILE,
        client: "main",
        server: "locum.example.org",
        scopes: &scopes,
        until: "2026-11-23T17:36:12Z",
    };
    for language in Language::ALL {
        for page in [
            Page::end(language, Ending::Connected, &Facts::default()),
            Page::going_on(language, &google),
            Page::invitation(language, &invitation),
            Page::sign_in(language, true),
            Page::enter(language),
            Page::opening(language, "../../"),
        ] {
            let body = page.body();
            for loads in
                ["<script", "<img", "<link", "src=", "@import", "url(", "<iframe", " style=", "javascript:"]
            {
                assert!(!body.contains(loads), "{loads}: {body}");
            }
            let mut headers = HeaderMap::new();
            page.put_headers(&mut headers);
            let policy = headers.get(header::CONTENT_SECURITY_POLICY).expect("a policy");
            let policy = policy.to_str().expect("text");
            assert!(
                policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe")
            );
        }
        let page = Page::going_on(language, &google);
        assert!(
            page.body()
                .contains("content=\"0;url=https://accounts.google.com/o/oauth2/v2/auth?a=1&amp;state=x\"")
        );
    }
}
