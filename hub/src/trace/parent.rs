//! A caller's trace goes on here: the header `traceparent` (W3C Trace Context, version 00).
//!
//! In: the headers of a request. Out: the parent of its span. Whether the trace is kept is decided by its id and our own `trace.sample_ratio`, not by the
//! caller's flag: a stranger could otherwise have everything traced. What is no good `traceparent` is ignored, as the standard asks.

use axum::http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Makes the span a child of the caller's, where the caller says so. To be called before the span is entered.
pub fn adopt(span: &Span, headers: &HeaderMap) {
    let mut values = headers.get_all("traceparent").iter();
    let (Some(value), None) = (values.next(), values.next()) else { return };
    let Some(parent) = value.to_str().ok().and_then(parse) else { return };
    // Fails where nothing is traced.
    drop(span.set_parent(Context::new().with_remote_span_context(parent)));
}

fn parse(text: &str) -> Option<SpanContext> {
    let lower = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let mut parts = text.split('-');
    let mut part = |len: usize| parts.next().filter(|part| part.len() == len).filter(lower);
    let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    if version != "00" || parts.next().is_some() {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let context = SpanContext::new(TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::parse;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_to_the_letter() {
        let context = parse(GOOD).expect("good");
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert!(context.is_remote());
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        let bad = [
            "",
            "00",
            &GOOD.to_uppercase(),
            &GOOD.replace("00-", "ff-"),
            &format!("{GOOD}-more"),
            &GOOD.replace("b7ad6b7169203331", "0000000000000000"),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000"),
            &GOOD.replace('a', "g"),
            &GOOD[1..],
        ];
        for text in bad {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
