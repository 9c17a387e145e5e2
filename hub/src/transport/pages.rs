//! The pages: the static files of `console/served/`, out of the binary.
//!
//! In: a path. Out: the file with its type, an ETag, and headers that let the page load nothing but what the hub serves. Never a listing; a folder is
//! its `.html`. What is not there answers 404 from the error catalogue.

use std::path::{Component, Path, PathBuf};

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Response, StatusCode};
use protocol::ErrorCode;
use rust_embed::RustEmbed;

use super::upgrade::refusal;

#[derive(RustEmbed)]
#[folder = "../console/served"]
struct Embedded;

/// What a page may do: load scripts, styles, pictures and sockets of its own origin, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; \
    connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Headers of every page.
const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-cache"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(self), microphone=(), geolocation=()"),
];

/// Two years, as browsers' preload lists ask; only said over TLS.
const HSTS: &str = "max-age=63072000; includeSubDomains";

/// Where the files come from.
#[derive(Debug, Clone)]
pub struct Pages {
    folder: Option<PathBuf>,
    secure: bool,
}

struct File {
    bytes: Vec<u8>,
    etag: String,
}

impl Pages {
    /// Pages out of the binary, or out of a folder that is read anew each time; `secure` where the hub ends TLS itself.
    #[must_use]
    pub const fn new(folder: Option<PathBuf>, secure: bool) -> Self {
        Self { folder, secure }
    }

    /// The answer to a request that no route took.
    pub async fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response<Body> {
        if method != Method::GET && method != Method::HEAD {
            return *refusal(ErrorCode::NotFound, None);
        }
        let Some((name, file)) = self.find(path).await else { return *refusal(ErrorCode::NotFound, None) };
        let fresh = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == file.etag.as_bytes());
        let length = file.bytes.len();
        let body = if fresh || method == Method::HEAD { Body::empty() } else { Body::from(file.bytes) };
        let mut answer = Response::new(body);
        if fresh {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let out = answer.headers_mut();
        for (header, value) in HEADERS {
            out.insert(HeaderName::from_static(header), HeaderValue::from_static(value));
        }
        if self.secure {
            out.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
        }
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static(type_of(&name)));
        out.insert(header::ETAG, HeaderValue::try_from(file.etag).expect("a hex digest is visible ASCII"));
        if method == Method::HEAD {
            out.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        answer
    }

    /// `/` is `index.html`, `/floor` is `floor.html`.
    async fn find(&self, path: &str) -> Option<(String, File)> {
        let path = path.trim_matches('/');
        let names = if path.is_empty() { vec!["index.html".to_owned()] } else { vec![path.to_owned(), format!("{path}.html")] };
        for name in names {
            if let Some(file) = self.read(&name).await {
                return Some((name, file));
            }
        }
        None
    }

    async fn read(&self, name: &str) -> Option<File> {
        let Some(folder) = &self.folder else {
            let file = Embedded::get(name)?;
            return Some(File { etag: etag(&file.metadata.sha256_hash()), bytes: file.data.into_owned() });
        };
        // Nothing outside the folder, and nothing hidden.
        let plain =
            Path::new(name).components().all(|part| matches!(part, Component::Normal(part) if !part.as_encoded_bytes().starts_with(b".")));
        if !plain {
            return None;
        }
        let bytes = tokio::fs::read(folder.join(name)).await.ok()?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        Some(File { etag: etag(digest.as_ref()), bytes })
    }
}

fn etag(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut etag = String::with_capacity(34);
    etag.push('"');
    for byte in digest.iter().take(16) {
        write!(etag, "{byte:02x}").expect("a String takes all");
    }
    etag.push('"');
    etag
}

fn type_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(pages: &Pages, path: &str, headers: &HeaderMap) -> Response<Body> {
        pages.answer(&Method::GET, path, headers).await
    }

    #[tokio::test]
    async fn the_front_page_comes_with_its_policy_and_is_not_sent_twice() {
        let pages = Pages::new(None, false);
        let first = get(&pages, "/", &HeaderMap::new()).await;
        assert_eq!(first.status(), 200);
        assert!(first.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        assert!(!first.headers().contains_key("strict-transport-security"));
        let mut known = HeaderMap::new();
        known.insert(header::IF_NONE_MATCH, first.headers()["etag"].clone());
        assert_eq!(get(&pages, "/", &known).await.status(), 304);
    }

    #[tokio::test]
    async fn a_folder_serves_nothing_outside_itself() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("floor.html"), "floor").unwrap();
        std::fs::write(folder.path().join(".secret"), "no").unwrap();
        let pages = Pages::new(Some(folder.path().to_owned()), true);
        let floor = get(&pages, "/floor", &HeaderMap::new()).await;
        assert_eq!((floor.status().as_u16(), floor.headers().contains_key("strict-transport-security")), (200, true));
        for path in ["/../etc/passwd", "/.secret", "//etc/passwd", "/x/../../floor.html", "/none"] {
            assert_eq!(get(&pages, path, &HeaderMap::new()).await.status(), 404, "{path}");
        }
    }
}
