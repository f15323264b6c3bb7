use super::*;

/// The key of RFC 7515, appendix A.2, as PKCS#8.
const KEY: &str = include_str!("rfc7515-a2.pem");

#[test]
fn published_signature() {
    let key = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let input = "eyJhbGciOiJSUzI1NiJ9.\
                 eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    assert_eq!(
        rs256(&key, input.as_bytes()).unwrap(),
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQ\
         jbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqt\
         FZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
}

/// What an assertion says ("Service account credentials": a token for an audience).
#[test]
fn an_assertion_says_who_asks_whom_for_what() {
    let file = KeyFile {
        client_email: "gateway@project.iam.gserviceaccount.com".into(),
        private_key: Zeroizing::new(KEY.into()),
        private_key_id: "kid".into(),
        token_uri: "https://oauth2.googleapis.com/token".into(),
    };
    let text = assertion(&file, "https://ingest.example", 1_000).unwrap();
    let part = |n: usize| -> serde_json::Value {
        let part = text.split('.').nth(n).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(part(0), json!({"alg": "RS256", "typ": "JWT", "kid": "kid"}));
    assert_eq!(
        part(1),
        json!({
            "iss": "gateway@project.iam.gserviceaccount.com",
            "sub": "gateway@project.iam.gserviceaccount.com",
            "aud": "https://oauth2.googleapis.com/token",
            "target_audience": "https://ingest.example",
            "iat": 1_000,
            "exp": 4_600,
        })
    );
    assert!(matches!(
        assertion(&KeyFile { private_key: Zeroizing::new("none".into()), ..file }, "a", 0),
        Err(Answer::DestinationProblem { .. })
    ));
}

#[test]
fn a_token_says_how_long_it_lives() {
    let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
    assert_eq!(life(&token(r#"{"iat": 100, "exp": 3700, "aud": "a"}"#)), Some(Duration::from_secs(3_600)));
    for odd in ["", "a.b", &token("{}"), &token(r#"{"iat": 9, "exp": 8}"#)] {
        assert_eq!(life(odd), None);
    }
}
