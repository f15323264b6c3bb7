//! The credentials file that the AWS tools share ("Configuration and credential file settings"). Read here and not by a
//! crate for INI files, which would leave copies of every secret in it.

/// What a profile holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Profile<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
    pub(super) session: Option<&'a str>,
}

/// Finds a profile.
///
/// # Errors
/// What is missing, and nothing of what is there.
pub(super) fn profile<'a>(text: &'a str, name: &str) -> Result<Profile<'a>, String> {
    let (mut here, mut found) = (false, false);
    let (mut id, mut secret, mut session) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let header = header.trim();
            here = header.strip_prefix("profile ").unwrap_or(header).trim() == name;
            found |= here;
        } else if let (true, false, Some((key, value))) =
            (here, line.starts_with(['#', ';']), line.split_once('='))
        {
            let place = match key.trim() {
                "aws_access_key_id" => &mut id,
                "aws_secret_access_key" => &mut secret,
                "aws_session_token" => &mut session,
                _ => continue,
            };
            *place = Some(value.trim()).filter(|value| !value.is_empty());
        }
    }
    if !found {
        return Err(format!("has no profile [{name}]: correct `profile`"));
    }
    let needed = |value: Option<&'a str>, key| value.ok_or_else(|| format!("[{name}] has no {key}: add it"));
    Ok(Profile {
        id: needed(id, "aws_access_key_id")?,
        secret: needed(secret, "aws_secret_access_key")?,
        session,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles() {
        let text = "# ours\n[default]\naws_access_key_id = A\naws_secret_access_key=s/=+\n\n[profile field]\n\
                    aws_access_key_id=B\naws_secret_access_key=t\naws_session_token = u\n; no\n[empty]\naws_access_key_id=\n";
        let check = |name, expected: Result<(&str, &str, Option<&str>), &str>| {
            let found = profile(text, name);
            let found = found.as_ref().map(|p| (p.id, p.secret, p.session)).map_err(String::as_str);
            assert_eq!(found, expected);
        };
        check("default", Ok(("A", "s/=+", None)));
        check("field", Ok(("B", "t", Some("u"))));
        check("empty", Err("[empty] has no aws_access_key_id: add it"));
        check("other", Err("has no profile [other]: correct `profile`"));
    }
}
