use super::*;
use crate::forward::outbox::Position;

fn sent(ids: &[&str]) -> Vec<Queued> {
    let queued = |(n, id): (usize, &&str)| Queued {
        position: Position { priority: 1, sequence: n as u64 },
        id: (*id).to_owned(),
        event: b"{}".to_vec(),
    };
    ids.iter().enumerate().map(queued).collect()
}

/// A word for each kind of answer; failed events as `id` (drop) or `id+` (again).
fn brief(answer: &Answer) -> String {
    match answer {
        Answer::Confirmed { failed } if failed.is_empty() => "confirmed".into(),
        Answer::Confirmed { failed } => {
            let name = |f: &Failed| format!("{}{}", f.id, if f.retry { "+" } else { "" });
            format!("confirmed but {}", failed.iter().map(name).collect::<Vec<_>>().join(" "))
        }
        Answer::RetryLater { overload: true, .. } => "later, perhaps fewer".into(),
        Answer::RetryLater { .. } => "later".into(),
        Answer::TooLarge { .. } => "too large".into(),
        Answer::RefusedEvent { .. } => "refused".into(),
        Answer::DestinationProblem { .. } => "destination".into(),
    }
}

#[test]
fn every_status_means_what_the_design_says() {
    for status in 100..=999 {
        let expected = match status {
            200..=299 => "confirmed",
            400 | 422 => "refused",
            413 => "too large",
            408 | 425 | 429 => "later",
            500..=599 => "later, perhaps fewer",
            _ => "destination",
        };
        let reply = Reply { status, ..Reply::default() };
        assert_eq!(brief(&classify(&reply, &sent(&["a"]))), expected, "{status}");
    }
}

#[test]
fn a_web_page_confirms_nothing() {
    let check = |status, content_type, body: &str, expected| {
        let reply =
            Reply { status, content_type: Some(content_type), body: body.as_bytes(), ..Reply::default() };
        assert_eq!(brief(&classify(&reply, &sent(&["a"]))), expected, "{status} {content_type}");
    };
    check(200, "text/html", "<!DOCTYPE html>", "destination");
    check(200, "Text/HTML ; charset=utf-8", "\u{feff}\r\n<html>", "destination");
    check(200, "text/html", "", "destination");
    check(202, "application/xhtml+xml", "<?xml", "destination");
    // What a `@cloud_event` function of functions-framework answers.
    check(200, "text/html; charset=utf-8", "OK", "confirmed");
    check(204, "text/html; charset=utf-8", "", "confirmed");
    check(200, "text/plain", "<", "confirmed");
    check(200, "application/json", "{}", "confirmed");
    check(200, "", "", "confirmed");
    check(500, "text/html", "<", "later, perhaps fewer");
    check(422, "text/html", "<", "refused");
}

#[test]
fn a_body_names_what_failed() {
    let check = |body: &str, expected| {
        let reply = Reply { status: 200, body: body.as_bytes(), ..Reply::default() };
        assert_eq!(brief(&classify(&reply, &sent(&["a", "b", "c"]))), expected, "{body}");
    };
    check("", "confirmed");
    check("OK", "confirmed");
    check("{}", "confirmed");
    check("[]", "confirmed");
    check(r#"{"failed":[]}"#, "confirmed");
    check(r#"{"failed":0}"#, "confirmed");
    check(r#"{"failed":[{"id":"b","retry":false}],"more":1}"#, "confirmed but b");
    check(r#"{"failed":[{"id":"c","retry":true},{"id":"a","retry":false}]}"#, "confirmed but a c+");
    check(r#"{"failed":[{"id":"b","reason":"full"}]}"#, "confirmed but b+");
    check(r#"{"failed":[{"id":"b","retry":false},{"id":"b","retry":true}]}"#, "confirmed but b+");
    check(
        r#"{"failed":["a",{"id":7},null,{"id":"b","retry":false},{"id":"c","retry":"no"}]}"#,
        "confirmed but a+ b c+",
    );
    check(r#"{"failed":[{"id":"z","retry":true}]}"#, "confirmed");
    check("{\"failed\":[{\"id\":\"\u{0}\",\"retry\":true}]}", "later");
    check(&"[".repeat(60_000), "confirmed");
}

/// What cannot be read may name events as failed: they are sent again. What names none is taken as it is.
#[test]
fn an_answer_that_cannot_be_read() {
    let check = |body: &[u8], coding, expected| {
        let reply = Reply { status: 200, body, coding, ..Reply::default() };
        assert_eq!(brief(&classify(&reply, &sent(&["a", "b"]))), expected, "{}", body.escape_ascii());
    };
    check(b"\xef\xbb\xbf{\"failed\":[\"b\"]}", None, "confirmed but b+");
    check(b"{\"failed\":[\"b\"]", None, "later");
    check(b"OK: {'failed': []}", None, "confirmed");
    check(b"OK", None, "confirmed");
    check(b"\x8b\x05\x80", Some("br"), "later");
}

/// In UTF-16 `"failed"` does not stand as it does in UTF-8: such an answer confirms nothing, and says why.
#[test]
fn an_answer_in_another_encoding() {
    let check = |body: &[u8], content_type, part: Option<&str>| {
        let reply = Reply { status: 200, body, content_type, ..Reply::default() };
        let answer = classify(&reply, &sent(&["a", "b"]));
        match (&answer, part) {
            (Answer::RetryLater { why, overload: false, .. }, Some(part)) => {
                assert!(
                    why.contains(part) && why.contains("in UTF-8") && why.contains("sent again"),
                    "{why}"
                );
            }
            (Answer::Confirmed { failed }, None) => assert!(failed.is_empty()),
            _ => panic!("{answer:?} to {}", body.escape_ascii()),
        }
    };
    let text = r#"{"failed":[{"id":"a","retry":true}]}"#;
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    check(&little, None, Some("UTF-16"));
    check(&big, Some("application/json"), Some("UTF-16"));
    check(&[b"\xff\xfe".as_slice(), &little].concat(), None, Some("UTF-16"));
    check(&[b"\xfe\xff".as_slice(), &big].concat(), None, Some("UTF-16"));
    // That names nothing, and what is no text.
    let fine: Vec<u8> = "OK".encode_utf16().flat_map(u16::to_le_bytes).collect();
    check(&[b"\xff\xfe".as_slice(), &fine].concat(), None, None);
    check(b"\0\0\0\0\0", Some("application/grpc-web"), None);
    let wide: Vec<u8> = text.bytes().flat_map(|byte| [byte, 0, 0, 0]).collect();
    check(&wide, None, Some("UTF-32"));
    check(b"+AHsAIgBm-", Some("application/json; charset=UTF-7"), Some("UTF-7"));
    check(b"\xc0\x7f\x86", Some("application/json;charset=\"IBM037\""), Some("IBM037"));
    let accents = b"{\"failed\":[{\"id\":\"a\",\"reason\":\"d\xe9j\xe0\"}]}";
    check(accents, Some("application/json; charset=ISO-8859-1"), Some("ISO-8859-1"));
    check(accents, None, Some("an unnamed encoding"));
    // What is like ASCII names what failed for all to see, and OK is OK.
    check(b"d\xe9j\xe0 vu", Some("text/plain; charset=iso-8859-1"), None);
    check(b"OK", Some("text/plain; charset=utf-8"), None);
    check(b"", Some("application/json; charset=utf-16"), None);
    check(b"{}", Some("application/json; charset=utf-16"), None);
}

#[test]
fn what_failed_has_its_reason() {
    let words = |body: &str| {
        let reply = Reply { status: 200, body: body.as_bytes(), ..Reply::default() };
        match classify(&reply, &sent(&["a", "b"])) {
            Answer::Confirmed { failed } => failed.into_iter().map(|f| f.words).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    let body =
        r#"{"failed":[{"id":"b","retry":false,"reason":"no\u0007such\ndevice"},{"id":"a","reason":7}]}"#;
    assert_eq!(words(body), ["HTTP 200: named as failed, without a reason", "HTTP 200: no such device"]);
    let long = format!(r#"{{"failed":[{{"id":"a","reason":"{}"}}]}}"#, "é".repeat(10_000));
    assert_eq!(words(&long)[0].chars().count(), "HTTP 200: ".len() + limits::WORDS_MAX);
}

#[test]
fn an_endless_body_confirms_unless_it_may_hide_failures() {
    let check = |body: &[u8], ids: &[&str], expected| {
        let reply = Reply { status: 200, body, truncated: true, ..Reply::default() };
        assert_eq!(brief(&classify(&reply, &sent(ids))), expected);
    };
    check(b"lorem ipsum", &["a", "b"], "confirmed");
    check(br#"{"failed":[{"id":"a"},"#, &["a", "b"], "too large");
    check(br#"{"failed":[{"id":"a"},"#, &["a"], "confirmed");
    let wide: Vec<u8> = br#"{"failed":[{"id":"a"},"#.iter().flat_map(|byte| [*byte, 0]).collect();
    check(&wide, &["a", "b"], "too large");
}

#[test]
fn waits_that_are_asked_for() {
    let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
    let check = |value, date, expected: Option<u64>| {
        assert_eq!(retry_after(value, date, now), expected.map(Duration::from_secs), "{value} {date:?}");
    };
    check("120", None, Some(120));
    check(" 0 ", None, Some(0));
    check("99999", None, Some(3_600));
    check("99999999999999999999999999", None, Some(3_600));
    check("-5", None, None);
    check("1.5", None, None);
    check("", None, None);
    check("soon", None, None);
    check("Sun, 22 Nov 2026 10:00:30 GMT", None, Some(30));
    check("Sun, 22 Nov 2026 09:00:00 GMT", None, Some(0));
    // A gateway in 1970 still waits as long as the server means.
    check("Sun, 22 Nov 2026 12:00:30 GMT", Some("Sun, 22 Nov 2026 12:00:00 GMT"), Some(30));
    check("Sun, 22 Nov 2026 10:00:30 GMT", Some("nonsense"), Some(30));
    check("Sun, 22 Nov 9999 10:00:30 GMT", None, Some(3_600));
    // Later than any time stamp of the library that reads it.
    check("Fri, 31 Dec 9999 23:59:59 GMT", None, Some(3_600));
    check("Fri, 31 Dec 9999 23:59:59 GMT", Some("Sun, 22 Nov 2026 12:00:00 GMT"), Some(3_600));
    check("Fri, 31 Dec 9999 23:59:59 GMT", Some("Fri, 31 Dec 9999 23:59:59 GMT"), Some(0));
    // RFC 9110 §5.6.7: a recipient must read these, too.
    check("Sunday, 22-Nov-26 10:00:30 GMT", None, Some(30));
    check("Sun Nov 22 10:00:30 2026", None, Some(30));
    check("Sun Nov  1 10:00:30 2026", None, Some(0));
    check("Sun, 31 Feb 2027 10:00:30 GMT", None, None);
}

#[test]
fn words_say_what_to_do_and_carry_no_secrets() {
    let why =
        |status, location| match classify(&Reply { status, location, ..Reply::default() }, &sent(&["a"])) {
            Answer::DestinationProblem { why } | Answer::RetryLater { why, .. } => why,
            other => panic!("{status}: {other:?}"),
        };
    let check =
        |status, part: &str| assert!(why(status, None).contains(part), "{status}: {}", why(status, None));
    check(401, "token");
    check(403, "may not call");
    check(404, "the function is not there");
    check(405, "POST");
    check(415, "without `batch`");
    check(429, "slows down");
    check(503, "function's own log");
    let moved = why(301, Some("https://other.example/f?code=secret"));
    assert!(moved.contains("https://other.example/f:"), "{moved}");
    assert!(!moved.contains("secret"));
}

#[test]
fn a_refusal_carries_the_functions_words_on_one_line() {
    let check = |body: &[u8], expected: &str| {
        let reply = Reply { status: 422, body, ..Reply::default() };
        let Answer::RefusedEvent { words } = classify(&reply, &sent(&["a"])) else { panic!() };
        assert_eq!(words, expected);
    };
    check(b"", "HTTP 422");
    check(b"no such\n\x1b[31mdevice\r\n", "HTTP 422: no such  [31mdevice");
    check(b"\xff\xfe", "HTTP 422: \u{fffd}\u{fffd}");
    check(&[b'x'; 5_000], &format!("HTTP 422: {}", "x".repeat(200)));
}
