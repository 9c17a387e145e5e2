//! Traces as a collector gets them: the real binary sends OTLP over HTTP to a receiver that decodes the protobuf.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::process::Spotter;

/// A trace that a caller began.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Takes exports on a port of its own, answers each with 200, and hands on what was in it.
fn collector() -> (String, mpsc::Receiver<ExportTraceServiceRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (exports, taken) = mpsc::sync_channel(1024);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (socket, exports) = (socket.expect("a connection"), exports.clone());
            std::thread::spawn(move || serve(socket, &exports));
        }
    });
    (url, taken)
}

fn serve(mut socket: TcpStream, exports: &mpsc::SyncSender<ExportTraceServiceRequest>) {
    let mut heard = Vec::new();
    let mut part = [0; 4096];
    while let Ok(bytes) = socket.read(&mut part) {
        if bytes == 0 {
            return;
        }
        heard.extend_from_slice(&part[..bytes]);
        while let Some((head, body, rest)) = request(&heard) {
            assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
            assert!(head.contains("content-type: application/x-protobuf"), "{head}");
            let export = ExportTraceServiceRequest::decode(body).expect("protobuf");
            if exports.send(export).is_err() {
                return;
            }
            heard = rest.to_vec();
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("answered");
        }
    }
}

/// Head in lower case but for its first line, body, and what comes after, once a whole request is there.
fn request(heard: &[u8]) -> Option<(String, &[u8], &[u8])> {
    let end = heard.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&heard[..end]).into_owned();
    let (first, fields) = text.split_once("\r\n").unwrap_or((&text, ""));
    let head = format!("{first}\r\n{}", fields.to_ascii_lowercase());
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
    let body = end + 4;
    (heard.len() >= body + length).then(|| (head, &heard[body..body + length], &heard[body + length..]))
}

fn get(address: &str, path: &str, headers: &str) -> String {
    let mut socket = TcpStream::connect(address).expect("connects");
    let asked = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n");
    socket.write_all(asked.as_bytes()).expect("asked");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("answered");
    answer
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text_of(span: &Span, key: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value?;
    Some(match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(truth) => truth.to_string(),
        other => format!("{other:?}"),
    })
}

#[test]
fn a_collector_gets_spans_of_requests_batches_and_the_drain_and_a_callers_trace_goes_on() {
    let (collector, taken) = collector();
    let folder = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let settings = [format!("trace.endpoint={collector}"), "trace.batch_wait=50ms".to_owned(), "log.level=warn".to_owned()];
    let spotter = Spotter::start(folder.path(), &listener, &settings);
    let secret = "eyJhbGciOiJFZERTQSJ9.c2VjcmV0.c2VjcmV0";
    let told = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\nauthorization: Bearer {secret}\r\n");
    assert!(get(&address, "/v1/gyms", &told).starts_with("HTTP/1.1 401"));
    let mut spans: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    let mut service = String::new();
    let mut take = |spans: &mut BTreeMap<String, Vec<Span>>, wait: Duration| {
        let Ok(export) = taken.recv_timeout(wait) else { return };
        for resource in export.resource_spans {
            service = format!("{:?}", resource.resource);
            let found = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            found.for_each(|span| spans.entry(span.name.clone()).or_default().push(span));
        }
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !spans.contains_key("GET /v1/gyms") {
        assert!(Instant::now() < deadline, "no span of the request came: {:?}", spans.keys());
        take(&mut spans, Duration::from_millis(200));
    }
    let span = &spans["GET /v1/gyms"][0];
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!(text_of(span, "http.status").as_deref(), Some("401"));
    assert_eq!(text_of(span, "http.route").as_deref(), Some("/v1/gyms"));
    // The counter is told by the hub itself.
    let sent = |text: &str| text.lines().any(|line| line.starts_with("spotter_spans_total{fate=\"sent\"} ") && !line.ends_with(" 0"));
    while !sent(&get(&address, "/metrics", "")) {
        assert!(Instant::now() < deadline, "spans that were sent are counted");
    }
    spotter.end();
    while !spans.contains_key("drain") {
        assert!(Instant::now() < deadline, "the drain is the last that is told: {:?}", spans.keys());
        take(&mut spans, Duration::from_millis(200));
    }
    assert!(service.contains("spotter"), "{service}");
    let everything = format!("{spans:?}");
    assert!(!everything.contains(secret) && !everything.contains("Bearer"), "no token in a trace");
}

#[test]
fn a_collector_that_is_not_there_holds_nobody_up_and_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    // Nobody listens on a port that was just let go.
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let settings = [format!("trace.endpoint=http://{nobody}"), "trace.batch_wait=20ms".to_owned(), "trace.timeout=1s".to_owned()];
    let spotter = Spotter::start(folder.path(), &listener, &settings);
    let failed = |text: &str| text.lines().any(|line| line.starts_with("spotter_spans_total{fate=\"failed\"} ") && !line.ends_with(" 0"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !failed(&get(&address, "/metrics", "")) {
        assert!(Instant::now() < deadline, "spans that nobody took are counted");
    }
    spotter.end();
}
