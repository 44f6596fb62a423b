//! Which language a browser wants (RFC 9110 §12.5.4).

use actix_web::http::header::{self, HeaderMap};

use super::arabic::ARABIC;
use super::english::ENGLISH;
use super::words::Words;

/// A language that the pages are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Language {
    /// English, also for whoever wants neither.
    English,
    /// Arabic.
    Arabic,
}

impl Language {
    #[cfg(test)]
    pub(super) const ALL: [Self; 2] = [Self::English, Self::Arabic];

    /// The one that the browser likes best.
    pub(in crate::server) fn of(headers: &HeaderMap) -> Self {
        let wanted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let mut best = (0, Self::English);
        for entry in wanted.unwrap_or_default().split(',').take(32) {
            let (tag, weight) = entry.split_once(';').map_or((entry, 1000), |(tag, q)| (tag, weight(q)));
            let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let language = match primary.as_str() {
                "ar" => Self::Arabic,
                "en" => Self::English,
                _ => continue,
            };
            // The first of equals.
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Arabic => "ar",
        }
    }

    pub(super) const fn direction(self) -> &'static str {
        match self {
            Self::English => "ltr",
            Self::Arabic => "rtl",
        }
    }

    pub(super) fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Arabic => &ARABIC,
        }
    }
}

/// `q=0.8` in thousandths; what is no weight counts for nothing.
fn weight(text: &str) -> u32 {
    let digits = text.trim().strip_prefix("q=").or_else(|| text.trim().strip_prefix("Q="));
    match digits.and_then(|digits| digits.split_once('.').or(Some((digits, "")))) {
        Some(("1", _)) => 1000,
        Some(("0", rest)) if rest.len() <= 3 && rest.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{rest:0<3}").parse().unwrap_or(0)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn the_browser_chooses() {
        for (wanted, language) in [
            ("", Language::English),
            ("ar", Language::Arabic),
            ("AR-eg, en;q=0.8", Language::Arabic),
            ("en-GB,en;q=0.9,ar;q=0.8", Language::English),
            ("de-DE, ar;q=0.5, en;q=0.4", Language::Arabic),
            ("ar;q=0, en;q=0.1", Language::English),
            ("ar;q=0.001", Language::Arabic),
            ("fr", Language::English),
            ("*", Language::English),
            ("arc, arn", Language::English),
            ("ar;q=nonsense", Language::English),
            (",;,;q=,", Language::English),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_str(wanted).expect("a value"));
            assert_eq!(Language::of(&headers), language, "{wanted}");
        }
        assert_eq!(Language::of(&HeaderMap::new()), Language::English);
    }
}
