//! `docs/ERRORS.md`: the catalogues of errors and closes.

use protocol::close::AfterClose;
use protocol::error::Remedy;
use protocol::{CloseReason, ErrorCode};

const HEAD: &str = "# Errors and closes

What a peer can be told, and what it does then. Generated from `protocol/src/error.rs` and `protocol/src/close.rs`; numbers are for ever.

## Errors

An `error` frame or the JSON body of an HTTP answer: `code`, `name`, `text`, and where there is one `detail` (the place or the numbers) and
`retry_after_ms`. An error ends nothing but the request it answers. What to do:

* **mend**: the same request again fails the same; mend it.
* **retry**: the same later may do; not before `retry_after_ms`.
* **ask**: ask somebody who may, or log in as one.
* **refresh**: read the state again, then decide.

| code | name | HTTP | do | what it means |
|---:|---|---:|---|---|
";

const CLOSES: &str = "
## Closes

WebSocket close codes; the reason of the close frame is the name. The class follows from the number, so that a client treats a reason which
it does not know rightly: 4000-4099 come back, 4100-4199 log in again, 4200-4299 stop. Any close without a code of ours (1001, 1005, 1006)
means *resume*. What to do:

* **resume**: connect again with the resume ticket after a jittered back-off that starts at the given time and doubles up to 30 s.
* **log in**: get a new token first.
* **stop**: do not come back by itself.

| code | name | do | first back-off | what happened |
|---:|---|---|---:|---|
";

/// The whole document.
pub(crate) fn write() -> String {
    let mut text = HEAD.to_owned();
    for error in ErrorCode::ALL {
        let remedy = match error.remedy() {
            Remedy::Mend => "mend",
            Remedy::Retry => "retry",
            Remedy::Ask => "ask",
            Remedy::Refresh => "refresh",
        };
        text += &format!("| {} | `{}` | {} | {remedy} | {} |\n", error.code(), error.name(), error.http_status(), error.text());
    }
    text += CLOSES;
    for close in CloseReason::ALL {
        let after = match close.after() {
            AfterClose::Resume => "resume",
            AfterClose::LogIn => "log in",
            AfterClose::Stop => "stop",
        };
        text += &format!("| {} | `{}` | {after} | {} ms | {} |\n", close.code(), close.name(), close.backoff_ms(), close.text());
    }
    text
}

#[test]
fn numbers_and_names_of_both_catalogues_are_distinct_and_closes_keep_their_class() {
    let names: std::collections::BTreeSet<_> = ErrorCode::ALL.iter().map(|error| error.name()).collect();
    assert_eq!(names.len(), ErrorCode::ALL.len());
    assert!(ErrorCode::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
    for close in CloseReason::ALL {
        let class = match close.code() {
            4000..=4099 => AfterClose::Resume,
            4100..=4199 => AfterClose::LogIn,
            _ => AfterClose::Stop,
        };
        assert_eq!(close.after(), class, "{close:?}");
    }
}
