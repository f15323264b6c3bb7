use super::*;
use reqwest::{Method, Url};

fn credentials(session: Option<&str>) -> Credentials {
    let session = session.map(str::to_owned);
    Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", session, None, "test")
}

/// 2015-08-30T12:36:00Z, the time of the examples.
fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160)
}

fn request(url: &str, body: &str) -> Request {
    let mut request = Request::new(Method::POST, Url::parse(url).unwrap());
    *request.body_mut() = Some(body.to_owned().into());
    request
}

fn value(headers: &[(HeaderName, HeaderValue)], name: &str) -> String {
    let found = headers.iter().find(|(known, _)| known.as_str() == name).unwrap();
    assert!(found.1.is_sensitive());
    found.1.to_str().unwrap().to_owned()
}

/// The request `post-vanilla` of the suite that AWS publishes with Signature Version 4. There the hash of the body is no header,
/// and here it is: so the signature is the one that botocore 1.44 makes (`botocore.auth.SigV4Auth`, with that header).
#[test]
fn as_another_implementation_signs() {
    let place = Place { region: "us-east-1", service: "service", at: at() };
    let headers =
        signature(&credentials(None), &place, &request("https://example.amazonaws.com/", "")).unwrap();
    assert_eq!(value(&headers, "x-amz-date"), "20150830T123600Z");
    assert_eq!(
        value(&headers, "authorization"),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
         Signature=3ad5e249949a59b862eedd9f1bf1ece4693c3042bf860ef5e3351b8925316f98"
    );
}

/// A call of the Invoke API, with a name that is encoded, a body and temporary credentials; by botocore, as above.
#[test]
fn a_call_of_the_invoke_api() {
    let place = Place { region: "eu-west-1", service: "lambda", at: at() };
    let url = "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A1%3Afunction%3Ai/invocations";
    let mut request = request(url, "{\"events\":[]}");
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    let headers = signature(&credentials(Some("session")), &place, &request).unwrap();
    assert_eq!(value(&headers, "x-amz-security-token"), "session");
    assert_eq!(
        value(&headers, "authorization"),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/lambda/aws4_request, \
         SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, \
         Signature=9f60bc2436bd7162ad361481ebc4f225019515f8cb9e919ea6c59ba827d7193b"
    );
}

#[test]
fn a_life_is_told_by_the_clock_of_who_gave_it() {
    let date = Some("Sun, 30 Aug 2015 12:36:00 GMT");
    assert_eq!(life("2015-08-30T13:36:00Z", date), Duration::from_secs(3_600));
    assert_eq!(life("2015-08-30T12:00:00Z", date), Duration::ZERO);
    assert_eq!(life("soon", date), Duration::from_secs(900));
}
