//! Parameters of statements, the same for both back ends.

use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, Error};
use uuid::Uuid;

/// One parameter. Options, so that even a null has a type.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Int(Option<i64>),
    Real(Option<f64>),
    Text(Option<String>),
    Uuid(Option<Uuid>),
    Bytes(Option<Vec<u8>>),
    Bool(Option<bool>),
    /// An array in Postgres, a JSON list in SQLite.
    Ints(Vec<i64>),
    /// Postgres only.
    Blobs(Vec<Vec<u8>>),
    /// An array in Postgres, a JSON list in SQLite.
    Texts(Vec<String>),
}

/// A list of [`Value`]s from anything that makes one.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::db::Value::from($value)),*] };
}
pub(crate) use values;

macro_rules! value_from {
    ($($ty:ty => |$it:ident| $variant:ident $value:expr;)+) => {$(
        impl From<$ty> for Value { fn from($it: $ty) -> Self { Self::$variant(Some($value)) } }
        impl From<Option<$ty>> for Value { fn from(value: Option<$ty>) -> Self { Self::$variant(value.map(|$it| $value)) } }
    )+};
}

value_from! {
    i64 => |it| Int it;
    i32 => |it| Int it.into();
    u32 => |it| Int it.into();
    u16 => |it| Int it.into();
    u8 => |it| Int it.into();
    bool => |it| Bool it;
    Uuid => |it| Uuid it;
    Vec<u8> => |it| Bytes it;
    &str => |it| Text clean(it);
    String => |it| Text clean(&it);
    protocol::TenantId => |it| Uuid it.0;
    protocol::GymId => |it| Uuid it.0;
    protocol::MachineId => |it| Uuid it.0;
    protocol::GatewayId => |it| Uuid it.0;
    protocol::MemberId => |it| Uuid it.0;
    protocol::StaffId => |it| Uuid it.0;
    protocol::TeamId => |it| Uuid it.0;
    protocol::BoardId => |it| Uuid it.0;
    protocol::WorkoutId => |it| Uuid it.0;
    protocol::VisitId => |it| Uuid it.0;
    protocol::EventId => |it| Uuid it.0;
    protocol::StopId => |it| Uuid it.0;
    protocol::TicketId => |it| Uuid it.0;
}

impl<const MAX: usize> From<&protocol::text::Text<MAX>> for Value {
    fn from(text: &protocol::text::Text<MAX>) -> Self {
        Self::from(text.as_str())
    }
}

impl<const MAX: usize> From<Option<&protocol::text::Text<MAX>>> for Value {
    fn from(text: Option<&protocol::text::Text<MAX>>) -> Self {
        Self::from(text.map(|text| text.as_str()))
    }
}

/// Postgres takes no NUL in text; both back ends store the same.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

pub(super) fn sqlite(params: &[Value]) -> Result<SqliteArguments, Error> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(params.len(), 0);
    for param in params {
        match param {
            Value::Int(value) => arguments.add(*value),
            Value::Real(value) => arguments.add(*value),
            Value::Text(value) => arguments.add(value.as_deref().map(str::to_owned)),
            Value::Uuid(value) => arguments.add(*value),
            Value::Bytes(value) => arguments.add(value.clone()),
            Value::Bool(value) => arguments.add(*value),
            Value::Ints(value) => arguments.add(crate::words::json(value)),
            Value::Texts(value) => arguments.add(crate::words::json(value)),
            Value::Blobs(_) => Err("lists of bytes go to Postgres only".into()),
        }
        .map_err(Error::Encode)?;
    }
    Ok(arguments)
}

pub(super) fn postgres(params: &[Value]) -> Result<PgArguments, Error> {
    let mut arguments = PgArguments::default();
    arguments.reserve(params.len(), params.len() * 8);
    for param in params {
        match param {
            Value::Int(value) => arguments.add(*value),
            Value::Real(value) => arguments.add(*value),
            Value::Text(value) => arguments.add(value.as_deref()),
            Value::Uuid(value) => arguments.add(*value),
            Value::Bytes(value) => arguments.add(value.as_deref()),
            Value::Bool(value) => arguments.add(*value),
            Value::Ints(value) => arguments.add(value.as_slice()),
            Value::Texts(value) => arguments.add(value.as_slice()),
            Value::Blobs(value) => arguments.add(value.as_slice()),
        }
        .map_err(Error::Encode)?;
    }
    Ok(arguments)
}
