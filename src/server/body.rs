//! Reading a request's body: limits in size and time, then fields.

use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::{HttpRequest, web};
use futures_util::StreamExt as _;
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use zeroize::Zeroizing;

use super::context::Context;
use super::problem::{Code, Problem};
use crate::secret;

/// What a body may be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    UrlEncoded,
}

/// Which fields a body may have: the name of each, its other spellings, and whether others are ignored.
pub(super) struct Expected {
    pub(super) fields: &'static [&'static [&'static str]],
    /// An HTML form will do, too.
    pub(super) forms: bool,
    /// What is unknown is ignored; else it is a mistake.
    pub(super) lenient: bool,
}

/// The fields that came, in the order of [`Expected::fields`].
pub(super) struct Fields {
    expected: &'static Expected,
    values: Vec<Option<Value>>,
}

impl Fields {
    /// Reads the body of `request` as an object of the expected fields.
    pub(super) async fn read(
        expected: &'static Expected,
        context: &Context,
        request: &HttpRequest,
        payload: web::Payload,
    ) -> Result<Self, Problem> {
        let form = form_of(request, expected.forms)?;
        let body = read(context, request, payload).await?;
        if body.is_empty() {
            return Err(Problem::new(Code::BodyMissing));
        }
        let text = std::str::from_utf8(&body).map_err(|error| {
            Problem::new(Code::NotUtf8).detail(format!(
                "The body is not UTF-8 from byte {} on. Encode it in UTF-8.",
                error.valid_up_to()
            ))
        })?;
        let mut fields = Self { expected, values: expected.fields.iter().map(|_| None).collect() };
        match form {
            Form::Json => fields.read_json(text)?,
            Form::UrlEncoded => fields.read_form(text)?,
        }
        Ok(fields)
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.expected.fields.iter().position(|spellings| spellings.contains(&name))
    }

    fn put(&mut self, index: usize, value: Value) -> Result<(), Problem> {
        let place = &mut self.values[index];
        if place.is_some() {
            let name = self.expected.fields[index][0];
            return Err(Problem::new(Code::DuplicateField)
                .detail(match self.expected.fields[index] {
                    [only] => format!("`{only}` is given twice. Give it once."),
                    spellings => {
                        format!("`{name}` is given twice. Give it once, as one of {}.", listed(spellings))
                    }
                })
                .with("field", name));
        }
        *place = Some(value);
        Ok(())
    }

    fn unknown(&self, name: &str) -> Result<(), Problem> {
        if self.expected.lenient {
            return Ok(());
        }
        let known: Vec<_> = self.expected.fields.iter().map(|spellings| spellings[0]).collect();
        let nearest = known
            .iter()
            .copied()
            .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
        let hint = nearest.map(|near| format!(" The nearest is `{near}`.")).unwrap_or_default();
        Err(Problem::new(Code::FieldUnknown)
            .detail(format!("A field of the body is unknown. Known are {}.{hint}", listed(&known))))
    }

    fn read_form(&mut self, text: &str) -> Result<(), Problem> {
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            // Decoding puts this character where the bytes are no UTF-8; nothing sent here has it in earnest.
            if name.contains('\u{FFFD}') || value.contains('\u{FFFD}') {
                return Err(Problem::new(Code::NotUtf8));
            }
            match self.index(&name) {
                Some(index) => self.put(index, Value::String(value.into_owned()))?,
                None => self.unknown(&name)?,
            }
        }
        Ok(())
    }

    fn read_json(&mut self, text: &str) -> Result<(), Problem> {
        let mut refused = None;
        let mut json = serde_json::Deserializer::from_str(text);
        let outcome =
            json.deserialize_map(Reader { fields: self, refused: &mut refused }).and_then(|()| json.end());
        match (refused, outcome) {
            (Some(problem), _) => Err(problem),
            (None, Ok(())) => Ok(()),
            // serde_json's own words may quote the body.
            (None, Err(error)) => Err(Problem::new(Code::NotJson).detail(format!(
                "The body is not one JSON object: something is wrong at line {}, column {}.",
                error.line(),
                error.column()
            ))),
        }
    }

    /// The value of a field; JSON's `null` is as good as none.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Value> {
        let index = self.index(name)?;
        self.values[index].take().filter(|value| !value.is_null())
    }

    /// The value of a text field.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(name, "must be a string")),
        }
    }

    /// The value of a field that is a type of its own.
    pub(super) fn parsed<T: std::str::FromStr>(
        &mut self,
        name: &'static str,
        wanted: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| invalid(name, wanted))
    }
}

/// A field that does not hold what it should.
pub(super) fn invalid(name: &'static str, wanted: &str) -> Problem {
    Problem::new(Code::FieldInvalid).detail(format!("`{name}` {wanted}.")).with("field", name)
}

/// A field that has to be there.
pub(super) fn missing(name: &'static str) -> Problem {
    Problem::new(Code::FieldMissing).detail(format!("Send `{name}`.")).with("field", name)
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Walks a JSON object; what is wrong with a field is left in `refused`.
struct Reader<'a> {
    fields: &'a mut Fields,
    refused: &'a mut Option<Problem>,
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let kept = match self.fields.index(&name) {
                Some(index) => {
                    let value = map.next_value()?;
                    self.fields.put(index, value)
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                    self.fields.unknown(&name)
                }
            };
            if let Err(problem) = kept {
                *self.refused = Some(problem);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

fn form_of(request: &HttpRequest, forms: bool) -> Result<Form, Problem> {
    if request.headers().get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return Err(Problem::new(Code::ContentEncoding));
    }
    let Some(value) = request.headers().get(header::CONTENT_TYPE) else {
        // Without a body there is nothing to have a type, and that is the better thing to say.
        return Err(Problem::new(if has_body(request) { Code::ContentType } else { Code::BodyMissing }));
    };
    let unsupported = || Problem::new(Code::ContentType);
    let media: mime::Mime = value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(unsupported)?;
    if media.get_param(mime::CHARSET).is_some_and(|charset| charset != mime::UTF_8) {
        return Err(unsupported());
    }
    match media.essence_str() {
        "application/json" => Ok(Form::Json),
        "application/x-www-form-urlencoded" if forms => Ok(Form::UrlEncoded),
        _ => Err(unsupported()),
    }
}

fn has_body(request: &HttpRequest) -> bool {
    request.headers().contains_key(header::TRANSFER_ENCODING)
        || request.headers().get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// The whole body within the limits, wiped when dropped.
async fn read(
    context: &Context,
    request: &HttpRequest,
    mut payload: web::Payload,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let settings = &context.state.config.server;
    let too_large = || {
        Problem::new(Code::BodyTooLarge).detail(format!(
            "Send at most {} bytes; the owner sets the limit with `server.max_body`.",
            settings.max_body
        ))
    };
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > settings.max_body as u64) {
        return Err(too_large());
    }
    let reading = async {
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| match error {
                PayloadError::Overflow => too_large(),
                other => Problem::new(Code::BodyBroken).because(other),
            })?;
            if body.len() + chunk.len() > settings.max_body {
                return Err(too_large());
            }
            secret::append(&mut body, &chunk);
        }
        Ok(body)
    };
    tokio::time::timeout(settings.body_timeout, reading)
        .await
        .unwrap_or_else(|_| Err(Problem::new(Code::BodyTimeout)))
}
