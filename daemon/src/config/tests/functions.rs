//! Cloud functions: what is sent where, signed how, and what is refused.

use super::errors::check;
use super::{read, valid};
use crate::config::model::{
    Aliyun, Auth, Aws, AwsCredentials, AwsIot, Budget, Content, Google, Hmac, Http, OAuth2, OutputKind,
    Secret, Tls,
};

const STREAM: &str = "[streams.s]\ntopic = \"a/{metric}\"\n";

fn function(text: &str) -> Http {
    let config = valid(&format!("{STREAM}[outputs.o]\n{text}\n"));
    match &config.outputs[0].kind {
        OutputKind::Http(http) => Http::clone(http),
        other => panic!("{other:?}"),
    }
}

fn file(name: &str) -> Secret {
    Secret::File(format!("/etc/tidegate/{name}").into())
}

#[test]
fn ways_to_sign() {
    let check = |auth: &str, expected: Auth| {
        let http = function(&format!("url = \"https://f.example/\"\nauth = {auth}"));
        assert_eq!((http.auth, http.content), (expected, Content::Structured));
    };
    check(
        "{ basic = { username = \"pi\", password = { file = \"p\" } } }",
        Auth::Basic { user: "pi".into(), password: file("p") },
    );
    check(
        "{ header = { name = \"X-API-Key\", value = { env = \"KEY\" } } }",
        Auth::Header { name: "x-api-key".into(), value: Secret::Env("KEY".into()) },
    );
    let hmac = |header: &str, prefix: &str| {
        Auth::Hmac(Hmac { secret: file("k"), header: header.into(), prefix: prefix.into() })
    };
    check("{ hmac = { secret = { file = \"k\" } } }", hmac("x-signature-256", "sha256="));
    check("{ hmac = { secret = { file = \"k\" }, header = \"X-Sign\", prefix = \"\" } }", hmac("x-sign", ""));
    check(
        "{ oauth2 = { token_url = \"https://l.example/t\", client_id = \"g\", client_secret = { file = \"c\" }, client_auth = \"body\" } }",
        Auth::OAuth2(OAuth2 {
            token_url: "https://l.example/t".into(),
            client_id: "g".into(),
            client_secret: file("c"),
            scope: None,
            audience: None,
            secret_in_body: true,
        }),
    );
}

#[test]
fn certificates_and_binary_mode() {
    let http =
        function("url = \"https://f.example/\"\nmode = \"binary\"\nca = \"ca\"\ncert = \"c\"\nkey = \"k\"");
    assert_eq!(http.content, Content::Binary);
    let path = |name: &str| Some(format!("/etc/tidegate/{name}").into());
    assert_eq!(http.tls, Tls { ca: path("ca"), cert: path("c"), key: path("k") });
}

#[test]
fn budgets() {
    let http = function(
        "url = \"https://f.example/\"\nbudget = { bytes_per_day = \"5MB\", hours = \"22:00-06:30\", order = \"newest\" }",
    );
    let time = |text: &str| text.parse().unwrap();
    let expected = Budget {
        bytes_per_day: Some(5_000_000),
        hours: Some((time("22:00"), time("06:30"))),
        newest: true,
        zone: "Europe/Amsterdam".into(),
    };
    assert_eq!(http.budget, Some(expected));
}

#[test]
fn lambda() {
    let check = |text: &str, url: &str, content, region: &str, credentials| {
        let http = function(&format!("type = \"aws-lambda\"\n{text}"));
        let auth = Auth::Aws(Aws { region: region.into(), credentials });
        assert_eq!((http.url.as_str(), http.content, http.auth), (url, content, auth));
    };
    let url = "https://abc.lambda-url.eu-west-1.on.aws/";
    check(&format!("url = \"{url}\""), url, Content::LambdaUrl, "eu-west-1", AwsCredentials::Environment);
    check(
        "function = \"arn:aws:lambda:us-east-2:1:function:i\"\nauth = { access_key_id = \"AKIA\", secret_access_key = { file = \"s\" }, session_token = { file = \"t\" } }",
        "https://lambda.us-east-2.amazonaws.com/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-2%3A1%3Afunction%3Ai/invocations",
        Content::LambdaInvoke,
        "us-east-2",
        AwsCredentials::Keys { id: "AKIA".into(), secret: file("s"), session: Some(file("t")) },
    );
    check(
        "function = \"ingest\"\nregion = \"eu-west-1\"\nendpoint = \"http://127.0.0.1:9001/\"\nauth = { credentials_file = \"aws\" }",
        "http://127.0.0.1:9001/2015-03-31/functions/ingest/invocations",
        Content::LambdaInvoke,
        "eu-west-1",
        AwsCredentials::File { path: "/etc/tidegate/aws".into(), profile: "default".into() },
    );
    check(
        &format!(
            "url = \"{url}\"\nauth = {{ iot = {{ endpoint = \"e.example\", role_alias = \"r\", cert = \"c\", key = \"k\" }} }}"
        ),
        url,
        Content::LambdaUrl,
        "eu-west-1",
        AwsCredentials::Iot(AwsIot {
            endpoint: "e.example".into(),
            role_alias: "r".into(),
            thing: None,
            tls: Tls { ca: None, cert: Some("/etc/tidegate/c".into()), key: Some("/etc/tidegate/k".into()) },
        }),
    );
    assert_eq!(
        function(&format!("type = \"aws-lambda\"\nurl = \"{url}\"\nauth = \"none\"")).auth,
        Auth::None
    );
}

#[test]
fn google_azure_and_aliyun() {
    let check = |text: &str, expected: Auth| assert_eq!(function(text).auth, expected, "{text}");
    check(
        "type = \"google\"\nurl = \"https://i-x-ew.a.run.app/p\"",
        Auth::Google(Google { key: None, audience: "https://i-x-ew.a.run.app".into() }),
    );
    check(
        "type = \"google\"\nurl = \"https://f.example/i\"\naudience = \"ours\"\nauth = { service_account = { file = \"k\" } }",
        Auth::Google(Google { key: Some(file("k")), audience: "ours".into() }),
    );
    check("type = \"google\"\nurl = \"https://f.example/i\"\nauth = \"none\"", Auth::None);
    check(
        "type = \"azure\"\nurl = \"https://a.azurewebsites.net/api/i\"\nauth = { function_key = { file = \"k\" } }",
        Auth::Header { name: "x-functions-key".into(), value: file("k") },
    );
    check(
        "type = \"azure\"\nurl = \"https://a.azurewebsites.net/api/i\"\nauth = { entra = { tenant = \"t\", client_id = \"c\", client_secret = { file = \"s\" }, scope = \"api://a/.default\" } }",
        Auth::OAuth2(OAuth2 {
            token_url: "https://login.microsoftonline.com/t/oauth2/v2.0/token".into(),
            client_id: "c".into(),
            client_secret: file("s"),
            scope: Some("api://a/.default".into()),
            audience: None,
            secret_in_body: true,
        }),
    );
    check("type = \"aliyun\"\nurl = \"https://i.cn-hangzhou.fcapp.run/\"", Auth::None);
    check(
        "type = \"aliyun\"\nurl = \"https://i.cn-hangzhou.fcapp.run/\"\nauth = { access_key_id = \"LTAI\", access_key_secret = { file = \"s\" } }",
        Auth::Aliyun(Aliyun { id: "LTAI".into(), secret: file("s"), token: None }),
    );
}

#[test]
fn what_is_refused() {
    let https = "[outputs.o]\nurl = \"https://f.example\"\n";
    for (text, expected) in [
        (format!("{https}auth = {{}}"), "3: `auth` is empty"),
        (
            format!("{https}auth = {{ bearer = {{ env = \"A\" }}, basic = {{ username = \"u\", password = {{ env = \"B\" }} }} }}"),
            "3: `auth` has more than one way",
        ),
        (format!("{https}auth = {{ basic = {{ username = \"a:b\", password = {{ env = \"B\" }} }} }}"), "3: `username` cannot be a user name here"),
        (format!("{https}auth = {{ basic = {{ username = \"a\" }} }}"), "3: `password` is missing: needs `password`"),
        (format!("{https}auth = {{ header = {{ name = \"a b\", value = {{ env = \"B\" }} }} }}"), "3: `name` is not the name of a header"),
        (format!("{https}auth = {{ header = {{ name = \"Host\", value = {{ env = \"B\" }} }} }}"), "3: `name` is a header that tidegate sets itself"),
        (format!("{https}auth = {{ function_key = {{ env = \"B\" }} }}"), "3: unknown key `function_key`: belongs to type = \"azure\""),
        (format!("{https}mode = \"binary\"\nbatch = {{}}"), "3: `mode` holds one event per request"),
        (format!("{https}budget = {{}}"), "3: `budget` says nothing"),
        (format!("{https}budget = {{ bytes_per_day = \"1kB\" }}"), "3: `bytes_per_day` has to be between 10KiB and 1TiB"),
        (format!("{https}budget = {{ hours = \"1am-5am\" }}"), "3: `1am-5am` is not hours of a day: `1am` is not a time of day"),
        (format!("{https}budget = {{ hours = \"01:00-01:00\" }}"), "3: `01:00-01:00` is not hours of a day: both are the same"),
        (format!("{https}cert = \"c\""), "3: `cert` needs `key` too"),
        (
            "[outputs.o]\ntype = \"aws-lambda\"".into(),
            "1: `url` is missing: needs `url`",
        ),
        (
            "[outputs.o]\ntype = \"aws-lambda\"\nfunction = \"ingest\"".into(),
            "3: `function` does not say in which region the function is",
        ),
        (
            "[outputs.o]\ntype = \"aws-lambda\"\nregion = \"r\"\nfunction = \"a/b\"".into(),
            "4: `function` is not the name of a Lambda function",
        ),
        (
            "[outputs.o]\ntype = \"aws-lambda\"\nregion = \"r\"\nfunction = \"a\"\ncompression = \"gzip\"".into(),
            "5: `compression` is not possible with `function`",
        ),
        (
            "[outputs.o]\ntype = \"aws-lambda\"\nregion = \"r\"\nfunction = \"a\"\nauth = {}".into(),
            "5: `auth` names no credentials",
        ),
        (
            "[outputs.o]\ntype = \"aws-lambda\"\nregion = \"r\"\nfunction = \"a\"\nauth = { access_key_id = \"A\" }".into(),
            "5: `secret_access_key` is missing: needs `secret_access_key`",
        ),
        (
            "[outputs.o]\ntype = \"azure\"\nurl = \"https://f.example\"\nauth = { entra = { tenant = \"t\", client_id = \"c\", client_secret = { env = \"S\" } } }".into(),
            "4: `scope` is missing: needs `scope`",
        ),
    ] {
        check(&format!("{text}\n"), &[expected]);
    }
}

/// However a secret comes into the file, it is not shown.
#[test]
fn secrets_in_plain_text_are_masked() {
    for text in [
        "url = \"https://f.example\"\nauth = { basic = { username = \"pi\", password = \"hunter2\" } }",
        "url = \"https://f.example\"\nauth = { header = { name = \"x\", value = \"hunter2\" } }",
        "url = \"https://f.example\"\nauth = { hmac = { secret = \"hunter2\" } }",
        "url = \"https://f.example\"\nauth = { oauth2 = { token_url = \"https://u:hunter2@l\", client_id = \"c\", client_secret = \"hunter2\" } }",
        "type = \"aws-lambda\"\nregion = \"r\"\nfunction = \"a\"\nauth = { access_key_id = \"A\", secret_access_key = \"hunter2\", session_token = \"hunter2\" }",
        "type = \"google\"\nurl = \"https://f.example\"\nauth = { service_account = \"hunter2\" }",
        "type = \"azure\"\nurl = \"https://f.example\"\nauth = { function_key = \"hunter2\" }",
        "type = \"aliyun\"\nurl = \"https://f.example\"\nauth = { access_key_id = \"A\", access_key_secret = \"hunter2\" }",
    ] {
        let report = read(&format!("{STREAM}[outputs.o]\n{text}\n")).unwrap_err();
        let rendered = format!("{}{report:?}", report.render(false));
        assert!(rendered.contains("a secret in plain text"), "{rendered}");
        assert!(!rendered.contains("hunter2"), "{rendered}");
    }
}

#[test]
fn secrets_that_travel_in_the_open_are_worth_a_warning() {
    for (auth, what) in [
        ("{ basic = { username = \"u\", password = { env = \"P\" } } }", Some("the password")),
        ("{ header = { name = \"x\", value = { env = \"P\" } } }", Some("the key")),
        ("{ hmac = { secret = { env = \"P\" } } }", None),
    ] {
        let text = format!("{STREAM}[outputs.o]\nurl = \"http://f.example/\"\nauth = {auth}\n");
        let warnings: Vec<_> =
            read(&text).unwrap().warnings.iter().map(|warning| warning.one_line()).collect();
        let expected: Vec<_> = what
            .iter()
            .map(|what| format!("tidegate.toml:4: {what} travels unencrypted: http://, not https://"))
            .collect();
        assert_eq!(warnings, expected);
    }
}
