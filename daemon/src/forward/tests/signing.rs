//! Functions that want to know who sends, and servers that give out tokens.

use super::*;
use crate::config::model::{Aliyun, Aws, AwsCredentials, AwsIot, Google, Hmac, OAuth2};
use crate::forward::memory::event;
use crate::forward::outbox::Queued;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

/// A secret in a file of its own.
fn secret(folder: &Path, name: &str, text: &str) -> Secret {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    Secret::File(path)
}

fn runs(url: String, auth: Auth, events: u64) -> Running {
    Running::http(Http { auth, ..http(url) }, events)
}

#[tokio::test]
async fn headers_that_stay_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let secret = |text: &str| secret(folder.path(), "secret", text);
    let basic = Auth::Basic { user: "Aladdin".into(), password: secret("open sesame\n") };
    let server = Server::start(|_, _| status(204)).await;
    let run = runs(server.url(), basic, 1);
    run.outbox.drained().await;
    // The example of RFC 7617 §2.
    assert_eq!(server.received()[0].header("authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    run.stop().await;

    let run = runs(server.url(), Auth::Header { name: "x-api-key".into(), value: secret("k1\n") }, 1);
    run.outbox.drained().await;
    assert_eq!(server.received()[1].header("x-api-key"), "k1");
    run.stop().await;
}

/// What is signed is what is sent: the compressed body.
#[tokio::test]
async fn a_signature_of_the_body() {
    let folder = tempfile::tempdir().unwrap();
    let cfg = Hmac {
        secret: secret(folder.path(), "key", "It's a Secret to Everybody"),
        header: "x-hub-signature-256".into(),
        prefix: "sha256=".into(),
    };
    let server = Server::start(|_, _| status(204)).await;
    let run = Running::http(
        Http { auth: Auth::Hmac(cfg), compression: Compression::Gzip, ..batched(server.url(), 10) },
        10,
    );
    run.outbox.drained().await;
    let request = &server.received()[0];
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"It's a Secret to Everybody");
    let digits = request.header("x-hub-signature-256").strip_prefix("sha256=").unwrap();
    let signature: Vec<u8> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    ring::hmac::verify(&key, &request.sent, &signature).unwrap();
    run.stop().await;
}

/// A function behind a token, and the server that gives it out: `tokens` says what is granted at the n-th request.
async fn with_tokens(
    tokens: impl Fn(usize, &Received) -> Said + Send + Sync + 'static,
    wanted: &'static str,
) -> (Server, Server) {
    let login = Server::start(tokens).await;
    let function = Server::start(move |_, request| {
        status(if request.header("authorization") == wanted { 200 } else { 401 })
    })
    .await;
    (login, function)
}

fn client_credentials(folder: &Path, login: &Server) -> OAuth2 {
    OAuth2 {
        token_url: login.url(),
        client_id: "gate way".into(),
        client_secret: secret(folder, "client-secret", "s:1\n"),
        scope: Some("ingest.write".into()),
        audience: None,
        secret_in_body: false,
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_when_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let grant = |n: usize, _: &Received| {
        let token = if n == 0 { "stale" } else { "good" };
        say(
            200,
            &[],
            &format!(r#"{{"access_token": "{token}", "token_type": "Bearer", "expires_in": 3600}}"#),
        )
    };
    let (login, function) = with_tokens(grant, "Bearer good").await;
    let run = runs(function.url(), Auth::OAuth2(client_credentials(folder.path(), &login)), 5);
    run.outbox.drained().await;
    let asked = login.received();
    assert_eq!(asked.len(), 2, "the first is refused by the function, the second is good for all");
    // `gate+way:s%3A1`, as RFC 6749 §2.3.1 joins them.
    assert_eq!(asked[0].header("authorization"), "Basic Z2F0ZSt3YXk6cyUzQTE=");
    assert_eq!(asked[0].body, b"grant_type=client_credentials&scope=ingest.write");
    run.stop().await;
}

/// Each attempt is one request of the function, and not one of the server that gives out tokens, too.
#[tokio::test]
async fn a_function_that_refuses_all_costs_no_token_per_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let grant = |_: usize, _: &Received| say(200, &[], r#"{"access_token": "good", "expires_in": 3600}"#);
    let (login, function) = with_tokens(grant, "Bearer better").await;
    let run = runs(function.url(), Auth::OAuth2(client_credentials(folder.path(), &login)), 5);
    run.has_problem("answered 401: the token").await;
    let before = run.problem();
    eventually(|| function.received().len() >= 10, || "attempts".into()).await;
    assert_eq!((login.received().len(), run.problem()), (2, before), "and the line stays the same");
    assert_eq!((run.outbox.len(), run.outbox.refused().len()), (5, 0));
    run.stop().await;
}

#[tokio::test]
async fn a_token_that_expires_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let grant = |_: usize, _: &Received| say(200, &[], r#"{"access_token": "good", "expires_in": 1}"#);
    let (login, function) = with_tokens(grant, "Bearer good").await;
    let cfg = OAuth2 { secret_in_body: true, ..client_credentials(folder.path(), &login) };
    let run = runs(function.url(), Auth::OAuth2(cfg), 1);
    run.outbox.drained().await;
    assert_eq!(
        login.received()[0].body,
        b"grant_type=client_credentials&scope=ingest.write&client_id=gate+way&client_secret=s%3A1"
    );
    let mut next = 1;
    eventually(
        || {
            run.outbox.push(event(1, next));
            next += 1;
            login.received().len() == 2
        },
        || "another token".into(),
    )
    .await;
    run.outbox.drained().await;
    run.stop().await;
}

/// Whatever goes wrong while signing in says nothing about the events: all are kept.
#[tokio::test]
async fn signing_in_goes_wrong_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let grant = |n: usize, _: &Received| match n {
        6..9 => status(503),
        0..3 => {
            say(401, &[], r#"{"error": "invalid_client", "error_description": "Invalid secret. Trace 17"}"#)
        }
        3..6 => say(200, &[], "<html>"),
        _ => say(200, &[], r#"{"access_token": "good"}"#),
    };
    let (login, function) = with_tokens(grant, "Bearer good").await;
    let run = runs(function.url(), Auth::OAuth2(client_credentials(folder.path(), &login)), 3);
    run.has_problem("answered 401 (invalid_client: Invalid secret): check `client_id`").await;
    run.has_problem("answers without a token").await;
    run.has_problem("which signs in, answered 503; tidegate keeps trying").await;
    run.outbox.drained().await;
    assert_eq!(run.outbox.delivered(), ids(0..3));
    run.stop().await;

    let cfg = OAuth2 { token_url: "http://127.0.0.1:1/".into(), ..client_credentials(folder.path(), &login) };
    let run = runs(function.url(), Auth::OAuth2(cfg), 1);
    run.has_problem("while signing in: 127.0.0.1:1 refuses connections").await;
    run.stop().await;
}

#[tokio::test]
async fn an_identity_token_of_google() {
    let folder = tempfile::tempdir().unwrap();
    // {"iat": 0, "exp": 3600}
    const TOKEN: &str = "e30.eyJpYXQiOiAwLCAiZXhwIjogMzYwMH0.c2ln";
    let grant = |_: usize, _: &Received| say(200, &[], &format!(r#"{{"id_token": "{TOKEN}"}}"#));
    let (login, function) = with_tokens(grant, "Bearer e30.eyJpYXQiOiAwLCAiZXhwIjogMzYwMH0.c2ln").await;
    let key = serde_json::json!({
        "type": "service_account",
        "client_email": "gateway@project.iam.gserviceaccount.com",
        "private_key": include_str!("../http/sign/rfc7515-a2.pem"),
        "private_key_id": "kid",
        "token_uri": login.url(),
    });
    let key = Some(secret(folder.path(), "key.json", &key.to_string()));
    let run = runs(function.url(), Auth::Google(Google { key, audience: function.url() }), 3);
    run.outbox.drained().await;
    let asked = login.received();
    assert_eq!(asked.len(), 1);
    let form = String::from_utf8(asked[0].body.clone()).unwrap();
    assert!(
        form.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey"),
        "{form}"
    );
    run.stop().await;
}

/// The clock of AWS is years behind ours, and its credentials live for an hour by it.
#[tokio::test]
async fn credentials_for_a_certificate_live_by_the_clock_of_who_gave_them() {
    let body = r#"{"credentials": {"accessKeyId": "ASIA", "secretAccessKey": "s", "sessionToken": "t", "expiration": "2020-02-02T11:00:00Z"}}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ndate: Sun, 02 Feb 2020 10:00:00 GMT\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (addr, provider, asked) = transport::tls_server(answer).await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, include_bytes!("certificates/authority.pem")).unwrap();
    let credentials = AwsCredentials::Iot(AwsIot {
        endpoint: format!("localhost:{}", addr.port()),
        role_alias: "gateway".into(),
        thing: Some("pi".into()),
        tls: Tls { ca: Some(ca.clone()), ..Tls::default() },
    });
    let server = Server::start(|_, _| status(204)).await;
    let auth = Auth::Aws(Aws { region: "eu-west-1".into(), credentials });
    let cfg = Http { auth, tls: Tls { ca: Some(ca), ..Tls::default() }, ..http(server.url()) };
    let run = Running::http(cfg, 4);
    run.outbox.drained().await;
    assert_eq!(server.received()[3].header("x-amz-security-token"), "t");
    assert_eq!(asked.load(SeqCst), 1);
    provider.abort();
    run.stop().await;
}

/// A function that refuses by the time says by how much the clock is wrong.
#[tokio::test]
async fn signatures_of_a_wrong_clock() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _| say(403, &[("date", "Sun, 22 Nov 2076 10:00:00 GMT")], "")).await;
    let keys =
        AwsCredentials::Keys { id: "AKIA".into(), secret: secret(folder.path(), "aws", "s"), session: None };
    let aws = Auth::Aws(Aws { region: "eu-west-1".into(), credentials: keys });
    let aliyun =
        Auth::Aliyun(Aliyun { id: "LTAI".into(), secret: secret(folder.path(), "ali", "s"), token: None });
    for auth in [aws, aliyun] {
        let run = runs(server.url(), auth, 1);
        run.has_problem("minutes behind the function's").await;
        run.stop().await;
    }
    for request in server.received() {
        let authorization = request.header("authorization");
        let aws = authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIA/");
        assert!(aws || authorization.starts_with("ACS3-HMAC-SHA256 Credential=LTAI,"), "{authorization}");
    }
}

/// AWS says of credentials that have ended with status 400, which of a function would be about the events.
#[tokio::test]
async fn credentials_that_have_ended_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let session = secret(folder.path(), "session", "old");
    let server = Server::start(|_, request| match request.header("x-amz-security-token") {
        "new" => say(200, &[], "null"),
        _ => say(400, &[], r#"{"__type": "com.amazon.coral.service#ExpiredTokenException"}"#),
    })
    .await;
    let keys = AwsCredentials::Keys {
        id: "AKIA".into(),
        secret: secret(folder.path(), "aws", "s"),
        session: Some(session),
    };
    let auth = Auth::Aws(Aws { region: "eu-west-1".into(), credentials: keys });
    let run = Running::http(Http { auth, content: Content::LambdaInvoke, ..batched(server.url(), 10) }, 2);
    run.has_problem("answered 400 (ExpiredToken)").await;
    secret(folder.path(), "session", "new");
    run.outbox.drained().await;
    assert_eq!(run.outbox.delivered(), ids(0..2));
    run.stop().await;
}

/// Before there is anything to send.
#[tokio::test]
async fn what_is_wrong_is_found_out_at_the_start() {
    let server = Server::start(|n, request| {
        assert_eq!(request.method, Method::HEAD);
        status(if n < 3 { 401 } else { 405 })
    })
    .await;
    let run = Running::http(http(server.url()), 0);
    run.has_problem("answered 401").await;
    eventually(|| run.problem().is_none(), || "it takes events: 405 is no reason".into()).await;
    assert_eq!(server.received().len(), 4);
    run.stop().await;
}

/// Where nothing but POST is allowed other methods are forbidden, which says nothing of who we are; but who forbids all alike is
/// believed before there is anything to send.
#[tokio::test]
async fn a_forbidden_request_without_an_event_is_no_problem_where_post_may_be_allowed() {
    let check = async |content, type_: Option<&'static str>, problem: bool| {
        let server = Server::start(move |_, request| match (&request.method, type_) {
            (&Method::POST, _) => status(204),
            (_, Some(type_)) => say(403, &[("x-amzn-errortype", type_)], ""),
            (_, None) => status(403),
        })
        .await;
        let run = Running::http(Http { content, ..http(server.url()) }, 0);
        if problem {
            run.has_problem("answered 403").await;
        }
        eventually(|| !server.received().is_empty(), || "it is tried".into()).await;
        let state = Arc::clone(&run.state);
        // Before it leaves it hears the answer.
        run.stop().await;
        assert_eq!(state.snapshot().last_error.is_some(), problem, "{type_:?}");
    };
    check(Content::Structured, None, false).await;
    check(Content::Structured, Some("MissingAuthenticationTokenException"), false).await;
    check(Content::Structured, Some("InvalidSignatureException"), true).await;
    check(Content::Structured, Some("ForbiddenException"), true).await;
    check(Content::LambdaUrl, None, true).await;
}

/// A dry run checks who we are, and does not run the function (Lambda, "Invoke").
#[tokio::test]
async fn a_call_of_lambda_is_tried_without_an_event() {
    let folder = tempfile::tempdir().unwrap();
    let server =
        Server::start(|n, _| if n < 2 { say(403, &[], r#"{"Message": "no"}"#) } else { status(204) }).await;
    let keys =
        AwsCredentials::Keys { id: "AKIA".into(), secret: secret(folder.path(), "aws", "s"), session: None };
    let auth = Auth::Aws(Aws { region: "eu-west-1".into(), credentials: keys });
    let run = Running::http(Http { auth, content: Content::LambdaInvoke, ..batched(server.url(), 10) }, 0);
    run.has_problem("answered 403").await;
    eventually(|| run.problem().is_none(), || "it is well".into()).await;
    for request in server.received() {
        assert_eq!((request.header("x-amz-invocation-type"), request.body.len()), ("DryRun", 0));
        assert!(request.header("authorization").contains("x-amz-invocation-type"), "and that is signed");
    }
    run.stop().await;
}

#[tokio::test]
async fn binary_mode() {
    let server = Server::start(|_, _| status(204)).await;
    let cfg = Http { content: Content::Binary, ..http(server.url()) };
    let outbox = Memory::with(0);
    let text = r#"{"specversion":"1.0","type":"t","id":"e0/°","source":"/g","time":"2026-11-22T10:00:00Z","datacontenttype":"application/json","data":{"n":1.50, "a":[1]}}"#;
    let run = Running::start(OutputKind::Http(Box::new(cfg)), outbox);
    run.outbox.push(Queued { event: text.into(), ..event(1, 0) });
    run.outbox.drained().await;
    let received = server.received();
    let request = received.iter().find(|request| request.method == Method::POST).unwrap();
    assert_eq!(request.body, br#"{"n":1.50, "a":[1]}"#, "to the byte");
    let header = |name| request.header(name);
    assert_eq!(
        (header("ce-id"), header("ce-specversion"), header("ce-source"), header("content-type")),
        ("e0/%C2%B0", "1.0", "/g", "application/json")
    );
    run.stop().await;
}

#[tokio::test]
async fn a_list_for_lambda() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|n, _| match n {
        0 => say(200, &[("x-amz-function-error", "Unhandled")], r#"{"errorType": "E", "errorMessage": "m"}"#),
        _ => say(200, &[], r#"{"failed": []}"#),
    })
    .await;
    let keys = AwsCredentials::Keys {
        id: "AKIA".into(),
        secret: secret(folder.path(), "aws", "s"),
        session: Some(secret(folder.path(), "session", "t")),
    };
    let auth = Auth::Aws(Aws { region: "eu-west-1".into(), credentials: keys });
    let run = Running::http(Http { auth, content: Content::LambdaInvoke, ..batched(server.url(), 10) }, 2);
    run.outbox.drained().await;
    let received = server.received();
    assert_eq!(received.len(), 2, "it is sent again after the function threw");
    let body: serde_json::Value = serde_json::from_slice(&received[1].body).unwrap();
    assert_eq!(body["events"].as_array().unwrap().len(), 2);
    assert_eq!(received[1].header("content-type"), "application/json");
    assert_eq!(received[1].header("x-amz-security-token"), "t");
    run.stop().await;
}
