//! `POST /emulator/faults`: scripted faults as JSON. Holding a request needs a handle and so is only for
//! tests in this process.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::control::read;
use super::drive::{DriveReason, DriveRefusal};
use super::faults::{Endpoint, Fault};
use super::reply::Reply;
use super::world::World;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FaultKind {
    Delay,
    Drop,
    DropAfterDoing,
    Status,
    Malformed,
    Html,
    Huge,
    SlowDrip,
    OauthError,
    Drive,
    CutUpload,
    KeepUpTo,
    ForgetUpload,
    CutDownload,
    FlipByte,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultOrder {
    /// An endpoint, or nothing for all.
    clear: Option<Cleared>,
    endpoint: Option<Endpoint>,
    fault: Option<FaultKind>,
    times: Option<usize>,
    #[serde(default)]
    until_cleared: bool,
    milliseconds: Option<u64>,
    status: Option<u16>,
    body: Option<String>,
    #[serde(default)]
    headers: Map<String, Value>,
    bytes: Option<usize>,
    error: Option<String>,
    error_description: Option<String>,
    error_subtype: Option<String>,
    /// Of a refusal of Drive.
    reason: Option<DriveReason>,
    /// Seconds.
    retry_after: Option<u64>,
    /// Which byte of a content.
    #[serde(default)]
    at: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Cleared {
    Endpoint(Endpoint),
    All(All),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum All {
    All,
}

#[derive(Serialize)]
pub(super) struct PendingFault {
    endpoint: Endpoint,
    scripted: usize,
}

/// Which endpoints have faults left.
pub(super) fn pending(world: &World) -> Vec<PendingFault> {
    let pending = world.faults().pending().into_iter();
    pending.map(|(endpoint, scripted)| PendingFault { endpoint, scripted }).collect()
}

/// `POST /emulator/faults`: scripts a fault, or clears them.
pub(super) fn script_fault(world: &World, body: &[u8]) -> Reply {
    let order: FaultOrder = match read(body) {
        Ok(order) => order,
        Err(refusal) => return refusal,
    };
    match &order.clear {
        Some(Cleared::All(All::All)) => world.faults().clear_all(),
        Some(Cleared::Endpoint(endpoint)) => world.faults().clear(*endpoint),
        None => {}
    }
    let cleared = order.clear.is_some();
    match (order.endpoint, order.fault) {
        (Some(endpoint), Some(kind)) => {
            let (times, lasting) = (order.times.unwrap_or(1), order.until_cleared);
            let fault = fault(kind, order);
            if lasting {
                world.faults().until_cleared(endpoint, fault);
            } else {
                world.faults().times(times, endpoint, fault);
            }
        }
        (None, None) if cleared => {}
        _ => {
            let detail = "name the endpoint and the fault, or clear an endpoint or \"all\"";
            return Reply::refuse(400, "invalid_fault", detail);
        }
    }
    Reply::json(200, &json!({ "faults": pending(world) }))
}

fn fault(kind: FaultKind, order: FaultOrder) -> Fault {
    let wait = |default| Duration::from_millis(order.milliseconds.unwrap_or(default));
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    match kind {
        FaultKind::Delay => Fault::Delay(wait(1000)),
        FaultKind::Drop => Fault::Drop,
        FaultKind::DropAfterDoing => Fault::DropAfterDoing,
        FaultKind::Status => Fault::Status {
            code: order.status.unwrap_or(503),
            body: order.body.unwrap_or_else(|| "{}".to_owned()),
            headers: order.headers.into_iter().map(|(name, value)| (name, text(value))).collect(),
        },
        FaultKind::Malformed => Fault::Malformed,
        FaultKind::Html => Fault::Html(order.status.unwrap_or(502)),
        FaultKind::Huge => Fault::Huge(order.bytes.unwrap_or(100 << 20)),
        FaultKind::SlowDrip => Fault::SlowDrip { piece: order.bytes.unwrap_or(1), every: wait(100) },
        FaultKind::OauthError => Fault::OAuthError {
            status: order.status.unwrap_or(400),
            error: order.error.unwrap_or_else(|| "invalid_grant".to_owned()),
            description: order.error_description,
            subtype: order.error_subtype,
        },
        FaultKind::Drive => Fault::Drive(DriveRefusal {
            status: order.status,
            retry_after: order.retry_after,
            ..order.reason.unwrap_or(DriveReason::BackendError).into()
        }),
        FaultKind::CutUpload => Fault::CutUpload { at: order.at },
        FaultKind::KeepUpTo => Fault::KeepUpTo { at: order.at },
        FaultKind::ForgetUpload => Fault::ForgetUpload,
        FaultKind::CutDownload => Fault::CutDownload { at: order.at },
        FaultKind::FlipByte => Fault::FlipByte { at: order.at },
    }
}
