//! kill -9 at any moment loses no exchange that was acknowledged.

use std::time::Duration;

use futures_util::future::join_all;
use locum::rng::Rng;
use serde_json::json;

use crate::program::{Folder, Google, exchange, get, json as body, post_json, text, words};

const EXCHANGES: usize = 200;
const AT_ONCE: usize = 4;
/// On average a server lives for this many exchanges.
const LIVES_FOR: u64 = 20;

#[actix_web::test]
async fn kill_9_loses_no_acknowledged_exchange() {
    let rng = Rng::seeded(2);
    let google = Google::start();
    let folder = Folder::configured(&google, "");
    let mut waiting: Vec<String> = Vec::new();
    for i in (0..EXCHANGES).rev() {
        let person = json!({ "email": format!("person-{i}@example.org"), "name": format!("Person {i}") });
        let answer = post_json(&format!("{}/emulator/people", google.base), &person).await;
        assert_eq!(answer.status, 200, "{}", words(&answer));
        waiting.push(format!("person-{i}@example.org"));
    }

    let (mut acknowledged, mut kills, mut cut) = (Vec::new(), 0, 0);
    while !waiting.is_empty() {
        let server = folder.serve();
        let base = server.base().to_owned();
        let mut left = 1 + rng.below(2 * LIVES_FOR);
        loop {
            let round: Vec<String> = waiting.split_off(waiting.len().saturating_sub(AT_ONCE));
            let codes = join_all(round.iter().map(|person| google.code_after_consent(person))).await;
            let posts = join_all(codes.iter().map(|code| exchange(&base, code)));
            let fatal = left <= AT_ONCE as u64;
            left = left.saturating_sub(AT_ONCE as u64);
            let outcomes = if fatal {
                // Somewhere in the few milliseconds that an exchange takes.
                let moment = Duration::from_micros(rng.below(12_000));
                let killed = async {
                    tokio::time::sleep(moment).await;
                    server.signal(rustix::process::Signal::KILL);
                };
                futures_util::future::join(posts, killed).await.0
            } else {
                posts.await
            };
            for (person, outcome) in round.into_iter().zip(outcomes) {
                match outcome {
                    Ok(answer) => {
                        assert_eq!(answer.status, 200, "{}", words(&answer));
                        let answer = body(&answer);
                        acknowledged.push((person, text(&answer["user"]["id"]).to_owned()));
                    }
                    // Not acknowledged: the person signs in again, with a new code. Google gave the refresh
                    // token with the first one, so each sign-in here goes through the consent page.
                    Err(_) if fatal => {
                        cut += 1;
                        waiting.push(person);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            if fatal {
                kills += 1;
                break;
            }
            if waiting.is_empty() {
                server.kill();
                kills += 1;
                break;
            }
        }
    }
    assert!(kills >= 5 && cut >= 5, "{kills} kills cut {cut} exchanges short");
    assert_eq!(acknowledged.len(), EXCHANGES);

    let server = folder.serve();
    let key =
        folder.run(&["key", "create", "k", "--allow", "tokens:read,users:read", "--user", "all"]).expect(0);
    let key = key.stdout().trim_end();
    for (person, id) in &acknowledged {
        let user = body(&get(server.base(), &format!("/v1/users/{id}"), key).await);
        assert_eq!(text(&user["email"]), person);
        assert_eq!(
            (&user["grants"][0]["state"], &user["grants"][0]["offline_access"]),
            (&json!("active"), &json!(true))
        );
        let token = get(server.base(), &format!("/v1/users/{id}/token"), key).await;
        assert_eq!(token.status, 200, "{}", words(&token));
    }
}
