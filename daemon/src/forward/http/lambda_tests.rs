use super::lambda::{self, refused};
use crate::forward::answer::{Answer, Failed, Reply};
use crate::forward::outbox::{Position, Queued};

fn sent() -> Vec<Queued> {
    let queued = |n: u64| Queued {
        position: Position { priority: 1, sequence: n },
        id: format!("e{n}"),
        event: b"{}".to_vec(),
    };
    (0..2).map(queued).collect()
}

fn reply(status: u16, body: &str) -> Reply<'_> {
    Reply { status, body: body.as_bytes(), ..Reply::default() }
}

fn invoked(reply: &Reply<'_>, thrown: bool, sent: &[Queued]) -> Answer {
    lambda::invoked(reply, thrown, sent).0
}

fn confirmed(failed: &[&str]) -> Answer {
    let failed = failed
        .iter()
        .map(|id| Failed {
            id: (*id).to_owned(),
            retry: true,
            words: "HTTP 200: named as failed, without a reason".into(),
        })
        .collect();
    Answer::Confirmed { failed }
}

#[test]
fn a_function_that_returns() {
    let check =
        |body, expected: Answer| assert_eq!(invoked(&reply(200, body), false, &sent()), expected, "{body}");
    check("null", confirmed(&[]));
    check("", confirmed(&[]));
    check(r#"{"failed": ["e1"]}"#, confirmed(&["e1"]));
    // Written for an address of its own.
    check(r#"{"statusCode": 204}"#, confirmed(&[]));
    check(r#"{"statusCode": 200, "body": "{\"failed\": [\"e0\"]}"}"#, confirmed(&["e0"]));
    check(
        r#"{"statusCode": 422, "body": "no such metric"}"#,
        Answer::RefusedEvent { words: "HTTP 422: no such metric".into() },
    );
    check(
        r#"{"statusCode": "200", "body": "eyJmYWlsZWQiOiBbImUxIl19", "isBase64Encoded": true}"#,
        confirmed(&["e1"]),
    );
    for odd in [r#"{"statusCode": "500"}"#, r#"{"statusCode": null}"#] {
        assert!(matches!(invoked(&reply(200, odd), false, &sent()), Answer::RetryLater { .. }), "{odd}");
    }
    let long = Reply { truncated: true, ..reply(200, r#"{"statusCode": 500, "body": "…"#) };
    assert!(matches!(invoked(&long, false, &sent()), Answer::TooLarge { .. }));
    assert!(matches!(invoked(&long, false, &sent()[..1]), Answer::RetryLater { .. }));
    assert!(matches!(
        invoked(&reply(200, r#"{"statusCode": 500}"#), false, &sent()),
        Answer::RetryLater { overload: true, .. }
    ));
}

/// Commands stand in what the function says, however Lambda hands it on.
#[test]
fn what_a_function_says() {
    for body in [
        r#"{"publish": []}"#,
        r#"{"statusCode": 200, "body": "{\"publish\": []}"}"#,
        r#"{"statusCode": 200, "body": {"publish": []}}"#,
    ] {
        let reply = reply(200, body);
        let (answer, said) = lambda::invoked(&reply, false, &sent());
        let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
        assert_eq!((answer, said), (confirmed(&[]), serde_json::json!({ "publish": [] })), "{body}");
    }
}

/// The call succeeds, with status 200, and the function has not: nothing is confirmed by it.
#[test]
fn a_function_that_throws() {
    let body = r#"{"errorMessage": "table not found", "errorType": "ResourceNotFound", "stackTrace": []}"#;
    let Answer::RetryLater { why, overload: true, .. } = invoked(&reply(200, body), true, &sent()) else {
        panic!("it is tried again")
    };
    assert!(why.starts_with("the function failed (ResourceNotFound: table not found)"), "{why}");
    assert!(matches!(invoked(&reply(200, "oops"), true, &sent()), Answer::RetryLater { .. }));
}

/// Some of these are 400, which of a function would refuse the events.
#[test]
fn what_is_wrong_with_us_is_not_wrong_with_events() {
    for (status, body) in [
        (400, r#"{"__type": "com.amazon.coral.service#ExpiredTokenException"}"#),
        (400, r#"{"__type": "IncompleteSignatureException", "message": "…"}"#),
        (
            403,
            r#"{"message": "The security token included in the request is invalid.", "__type": "UnrecognizedClientException"}"#,
        ),
        (403, r#"{"Message": "Forbidden"}"#),
    ] {
        let answer = refused(&reply(status, body), &sent());
        assert!(matches!(answer, Answer::DestinationProblem { .. }), "{status} {body}: {answer:?}");
    }
    assert!(matches!(refused(&reply(400, "no"), &sent()), Answer::RefusedEvent { .. }));
    assert!(matches!(refused(&reply(413, ""), &sent()), Answer::TooLarge { .. }));
}
