//! `locum drive sync`, `versions` and `restore`: the configured mirrors, run and looked into by hand.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use http::Method;

use super::Grant;
use super::progress::Progress;
use crate::cli::admin::{Admin, confirm};
use crate::cli::user::{self, Who};
use crate::cli::{Context, Exit, Failure, output};
use crate::clock::Clock;
use crate::server::{MirrorList, MirrorView, ReportView, Restored, VersionList};

/// Actions that are listed; the others are counted.
const LISTED: usize = 50;
/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// The shortest pause between two rounds of `--watch`.
const SHORTEST: u64 = 10;

#[derive(Debug, Args)]
pub(in crate::cli) struct Sync {
    /// An e-mail address or a user id; every mirror of the configuration if left out
    #[arg(value_name = "WHO", value_parser = user::who)]
    who: Option<String>,
    /// Only say what would be done
    #[arg(long, conflicts_with_all = ["accept", "watch"])]
    dry_run: bool,
    /// Do what a run holds back for a person to look at: a first run in both directions, many deletions
    #[arg(long)]
    accept: bool,
    /// Go on running, each mirror at its interval
    #[arg(long, conflicts_with = "accept")]
    watch: bool,
    #[command(flatten)]
    grant: Grant,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Versions {
    #[command(flatten)]
    who: Who,
    /// Only those of this path below the folder
    #[arg(value_name = "PATH")]
    path: Option<String>,
    #[command(flatten)]
    grant: Grant,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Restore {
    #[command(flatten)]
    who: Who,
    /// Which version, as `locum drive versions` shows it
    #[arg(value_name = "VERSION")]
    version: i64,
    /// Where to put it, below the folder [default: where it was, or beside what is there now]
    #[arg(long, value_name = "PATH")]
    to: Option<String>,
    #[command(flatten)]
    grant: Grant,
}

/// One mirror to run.
struct Order {
    who: String,
    client: Option<String>,
}

pub(super) async fn sync(context: &Context<'_>, admin: &Admin, order: Sync) -> Result<Exit, Failure> {
    loop {
        let mirrors = orders(admin, &order).await?;
        let mut worst = Exit::Done;
        for mirror in &mirrors.0 {
            let exit = match one(context, admin, mirror, &order).await {
                Ok(exit) => exit,
                // One mirror's trouble does not keep the others waiting.
                Err(failure) if mirrors.0.len() > 1 || order.watch => {
                    output::warn(&format!("{}: {:#}", mirror.who, failure.error));
                    failure.exit
                }
                Err(failure) => return Err(failure),
            };
            if worst == Exit::Done {
                worst = exit;
            }
        }
        if !order.watch {
            return Ok(worst);
        }
        Clock::system().sleep(Duration::from_secs(mirrors.1.max(SHORTEST))).await;
    }
}

/// What is to be run, and the shortest interval in seconds.
async fn orders(admin: &Admin, order: &Sync) -> Result<(Vec<Order>, u64), Failure> {
    let client = order.grant.client.as_ref().map(ToString::to_string);
    if let Some(who) = &order.who {
        let view: MirrorView =
            admin.get(&["v1", "users", who, "mirror"]).query("client", client.as_ref()).read().await?;
        return Ok((vec![Order { who: who.clone(), client }], view.interval));
    }
    let all: MirrorList = admin.get(&["v1", "mirrors"]).read().await?;
    let wanted = |mirror: &MirrorView| client.as_ref().is_none_or(|client| *client == mirror.client);
    let mirrors: Vec<MirrorView> = all.mirrors.into_iter().filter(wanted).collect();
    if mirrors.is_empty() {
        return Err(Failure::usage(anyhow::anyhow!(
            "no mirror is configured; add a [[mirror]] with `user`, `client` and `folder` to the configuration"
        )));
    }
    let interval = mirrors.iter().map(|mirror| mirror.interval).min().unwrap_or(SHORTEST);
    let mut orders = Vec::new();
    for mirror in mirrors {
        match mirror.problem {
            Some(problem) => {
                output::warn(&format!("{}: {problem}", mirror.folder.as_deref().unwrap_or_default()))
            }
            None => orders.extend(mirror.user.map(|who| Order { who, client: Some(mirror.client) })),
        }
    }
    Ok((orders, interval))
}

/// Waits for a run and shows how far it is, where somebody looks.
async fn watched<T>(
    context: &Context<'_>,
    admin: &Admin,
    mirror: &Order,
    run: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let (mut run, bar) = (std::pin::pin!(run), Progress::new(context, Some(0)));
    if !bar.is_shown() {
        return run.await;
    }
    loop {
        tokio::select! {
            outcome = &mut run => return outcome,
            () = tokio::time::sleep(LOOK) => {}
        }
        let request =
            admin.get(&["v1", "users", &mirror.who, "mirror"]).query("client", mirror.client.as_ref());
        // A look that fails is no failure of the run.
        if let Ok(MirrorView { running: Some(at), .. }) = request.read::<MirrorView>().await
            && at.of_bytes > 0
        {
            bar.is_at(at.bytes, at.of_bytes);
        }
    }
}

async fn one(context: &Context<'_>, admin: &Admin, mirror: &Order, order: &Sync) -> Result<Exit, Failure> {
    let run = async |accept: bool| {
        let run = admin
            .request(Method::POST, &["v1", "users", &mirror.who, "mirror"])
            .query("client", mirror.client.as_ref())
            .query("dry_run", order.dry_run.then_some(true))
            .query("accept", accept.then_some(true))
            .without_limit()
            .read::<ReportView>();
        watched(context, admin, mirror, run).await
    };
    let report = match run(order.accept).await {
        Ok(report) => report,
        Err(failure) => {
            let Some(held) = held_in(&failure) else { return Err(failure) };
            if context.json || order.watch || !std::io::stdin().is_terminal() {
                return Err(Failure { exit: Exit::NeedsPerson, ..failure });
            }
            show(context, mirror, &held)?;
            if !confirm("Do this?").await? {
                output::note("Nothing was changed.");
                return Ok(Exit::NeedsPerson);
            }
            run(true).await?
        }
    };
    if context.json {
        output::json_line(&report)?;
    } else {
        show(context, mirror, &report)?;
    }
    Ok(if report.retry_after.is_some() {
        Exit::TryLater
    } else if report.held.is_some() || report.stopped.is_some() {
        Exit::NeedsPerson
    } else if report.dry_run || report.complete {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// What a refused run would have done.
fn held_in(failure: &Failure) -> Option<ReportView> {
    let problem = failure.problem.as_ref().filter(|problem| problem["code"] == "mirror_held")?;
    serde_json::from_value(problem["report"].clone()).ok()
}

fn show(context: &Context<'_>, mirror: &Order, report: &ReportView) -> Result<(), Failure> {
    if report.dry_run || report.held.is_some() {
        let rows = report.planned.iter().take(LISTED).map(|action| {
            let from = action.from.as_ref().map(|from| format!("from {}", output::escaped(from)));
            [action.action.replace('_', " "), output::escaped(&action.path), from.unwrap_or_default()]
        });
        if report.planned.is_empty() {
            output::note(&format!("{}: both sides agree; there is nothing to do.", mirror.who));
        } else {
            output::data(&output::table(["WOULD", "PATH", ""], rows))?;
        }
        if report.planned_total > LISTED {
            output::note(&format!("… and {} more.", report.planned_total - LISTED));
        }
        if let Some(because) = &report.held_because {
            output::note(&format!("It waits: {because}."));
        }
    } else if !context.quiet {
        output::note(&format!("{}: {}.", mirror.who, sum(report)));
    }
    for problem in &report.problems {
        output::note(&format!("  {} {}", output::escaped(&problem.path), output::escaped(&problem.matter)));
    }
    if let Some(stopped) = &report.stopped {
        output::warn(stopped);
    }
    Ok(())
}

/// What was done, in one line.
fn sum(report: &ReportView) -> String {
    let done = &report.done;
    let parts = [
        (done.downloaded, "brought here"),
        (done.uploaded, "brought to Drive"),
        (done.deleted_here, "deleted here"),
        (done.deleted_at_drive, "deleted at Drive"),
        (done.moved, "renamed"),
        (done.conflicts, "in conflict, both kept"),
        (done.folders, "folders made or removed"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() {
        return format!("nothing to do, {} files agree", report.files);
    }
    parts.join(", ")
}

pub(super) async fn versions(context: &Context<'_>, admin: &Admin, order: Versions) -> Result<Exit, Failure> {
    let Versions { who: Who { who }, path, grant } = order;
    let request = admin.get(&["v1", "users", &who, "mirror", "versions"]);
    let list: VersionList = request.query("client", grant.client).query("path", path).read().await?;
    if context.json {
        output::json(&list)?;
    } else if list.versions.is_empty() {
        output::note("No version is kept: nothing was replaced or deleted yet.");
    } else {
        let rows = list.versions.iter().map(|version| {
            let kept = version.kept_at.to_string().replace('T', " ").replace('Z', "");
            let why = version.why.replace('_', " ");
            [version.id.clone(), kept, version.size.to_string(), why, output::escaped(&version.path)]
        });
        output::data(&output::table(["VERSION", "KEPT AT (UTC)", "SIZE", "WHY", "PATH"], rows))?;
    }
    Ok(Exit::Done)
}

pub(super) async fn restore(context: &Context<'_>, admin: &Admin, order: Restore) -> Result<Exit, Failure> {
    let Restore { who: Who { who }, version, to, grant } = order;
    let version = version.to_string();
    let request =
        admin.request(Method::POST, &["v1", "users", &who, "mirror", "versions", &version, "restore"]);
    let restored: Restored =
        request.query("client", grant.client).query("to", to).without_limit().read().await?;
    if context.json {
        output::json(&restored)?;
    } else {
        output::note(&format!("Restored: {}. The next run takes it along.", output::escaped(&restored.path)));
    }
    Ok(Exit::Done)
}
