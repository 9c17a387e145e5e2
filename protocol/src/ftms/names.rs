//! The readable form: one JSON object a value, names in snake case with their units.
//!
//! It says what the bytes say: a heart rate of 0 is shown as 0, a field that is not available as null. What was odd stands under
//! `issues` with `truncated` beside it, and both are left out where nothing was; a value that means nothing is `{"error": ..}`.

use serde_json::{Map, Value, json};

use super::control_point::{Number, PROCEDURES, RESISTANCE_SHORT, numbers_of_request, numbers_of_status};
use super::status::SPIN_DOWN_STATUS;
use super::table;
use super::{Characteristic, ControlPoint, Decoded, Feature, FtmsError, Issue, Issues, Record};

/// The row of a cycling power measurement that holds two angles of twelve bits.
pub(super) const ANGLES: &str = "angles";

/// A raw number divided, as an integer where it is one.
fn number(raw: i64, divisor: u32) -> Value {
    let divisor = i64::from(divisor);
    if raw % divisor == 0 { json!(raw / divisor) } else { json!(raw as f64 / divisor as f64) }
}

fn put_issues(object: &mut Map<String, Value>, issues: Issues) {
    if !issues.is_empty() {
        object.insert("issues".into(), issues.iter().map(Issue::name).collect());
        object.insert("truncated".into(), issues.has(Issue::Truncated).into());
    }
}

impl Characteristic {
    /// Names of its fields in the readable form, in order of the bytes where it has a table; `issues` and `error` not among them.
    #[must_use]
    pub fn field_names(self) -> Vec<&'static str> {
        let Some(table) = table::of(self) else { return self.names_without_table().to_vec() };
        let of_row = |name: &'static str| if name == ANGLES { vec!["max_angle_deg", "min_angle_deg"] } else { vec![name] };
        let mut names: Vec<_> = table.rows.iter().flat_map(|row| of_row(row.name)).collect();
        names.extend(table.flag_values.iter().map(|(_, name)| *name));
        if self == Self::HeartRate {
            names.extend(["sensor_contact", "rr_1024", "rr_ms"]);
        }
        names.dedup();
        names
    }

    fn names_without_table(self) -> &'static [&'static str] {
        match self {
            Self::Feature => &["machine_bits", "target_bits"],
            Self::TrainingStatus => &["status", "string"],
            Self::ControlPoint => &["op", "action", "request_op", "result", "target_speed_low_kmh", "target_speed_high_kmh"],
            Self::MachineStatus => &["op", "action", "spin_down_status"],
            _ => &["min", "max", "increment", "unit"],
        }
    }
}

/// Names of the numbers that requests and machine status carry, each beside its op code.
#[must_use]
pub fn target_names() -> Vec<(u8, u8, Vec<&'static str>)> {
    PROCEDURES.iter().map(|procedure| (procedure.op, procedure.status, procedure.names())).collect()
}

impl Record {
    /// Adds the fields to an object; what is there already is kept, also as null against a number.
    pub(super) fn put_fields(&self, object: &mut Map<String, Value>) {
        for (row, raw) in self.rows() {
            if row.name == ANGLES {
                let packed = raw.unwrap_or_default();
                object.insert("max_angle_deg".into(), json!(packed & 0xfff));
                object.insert("min_angle_deg".into(), json!(packed >> 12));
            } else {
                let divisor = row.forms[self.layout() as usize].divisor;
                object.entry(row.name).or_insert(raw.map_or(Value::Null, |raw| number(raw, divisor)));
            }
        }
        for (bit, name) in self.table().flag_values {
            object.entry(*name).or_insert((self.flags() >> bit & 1 == 1).into());
        }
        if self.characteristic() == Characteristic::HeartRate {
            self.put_contact_and_rr(object);
        }
    }

    fn put_contact_and_rr(&self, object: &mut Map<String, Value>) {
        let contact = self.contact().map_or(Value::Null, Value::from);
        object.insert("sensor_contact".into(), contact);
        if !self.rr().is_empty() {
            // Two decimals, a tie to the even one.
            let rr_ms = |&interval: &u16| (f64::from(interval) * 100_000.0 / 1_024.0).round_ties_even() / 100.0;
            object.insert("rr_ms".into(), self.rr().iter().map(rr_ms).collect());
            object.insert("rr_1024".into(), self.rr().iter().copied().collect());
        }
    }
}

/// The readable form of records that are parts of one.
pub(super) fn parts_to_json<'a>(parts: impl IntoIterator<Item = &'a Record>) -> Value {
    let (mut object, mut issues, mut ended) = (Map::new(), Issues::default(), false);
    for part in parts {
        part.put_fields(&mut object);
        issues = issues.union(part.issues());
        ended |= !part.goes_on();
    }
    if ended {
        issues.remove(Issue::MoreData);
    }
    put_issues(&mut object, issues);
    Value::Object(object)
}

/// Numbers under their names; more than one of the same name as a list.
fn put_numbers(object: &mut Map<String, Value>, numbers: &[Number], raws: &[i64]) {
    if let [first, second, ..] = numbers
        && first.name == second.name
    {
        object.insert(first.name.into(), raws.iter().map(|&raw| number(raw, first.divisor)).collect());
        return;
    }
    for (spec, &raw) in numbers.iter().zip(raws) {
        object.insert(spec.name.into(), number(raw, spec.divisor));
    }
}

fn put_control_point(object: &mut Map<String, Value>, value: &ControlPoint) {
    match value {
        ControlPoint::Request(request) => {
            object.insert("op".into(), request.op.into());
            put_numbers(object, numbers_of_request(request.op).unwrap_or_default(), &request.numbers);
            if let Some(action) = request.action() {
                object.insert("action".into(), action.into());
            }
        }
        ControlPoint::Response(response) => {
            object.insert("op".into(), super::RESPONSE.into());
            object.insert("request_op".into(), response.request_op.into());
            object.insert("result".into(), response.result.into());
            if let Some((low, high)) = response.spin_down_speeds {
                object.insert("target_speed_low_kmh".into(), number(low.into(), 100));
                object.insert("target_speed_high_kmh".into(), number(high.into(), 100));
            }
        }
    }
}

fn put_machine_status(object: &mut Map<String, Value>, status: &super::MachineStatus) {
    let Some(op) = status.op else { return };
    object.insert("op".into(), op.into());
    put_numbers(object, numbers_of_status(op).unwrap_or_default(), &status.numbers);
    if let Some(action) = status.action() {
        object.insert("action".into(), action.into());
    }
    if let (SPIN_DOWN_STATUS, [stage]) = (op, &status.numbers[..]) {
        object.insert("spin_down_status".into(), json!(stage));
    }
}

impl Decoded {
    /// The value as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        match self {
            Self::Record(record) => record.put_fields(&mut object),
            Self::TrainingStatus(status) => {
                object.extend(status.status.map(|status| ("status".to_owned(), status.into())));
                object.extend(status.text.as_ref().map(|text| ("string".to_owned(), text.as_str().into())));
            }
            Self::Feature(feature) => {
                object.insert("machine_bits".into(), Feature::bits(feature.machine).collect());
                object.insert("target_bits".into(), Feature::bits(feature.target).collect());
            }
            Self::Range(range) => {
                object.insert("min".into(), number(range.min.into(), range.divisor()));
                object.insert("max".into(), number(range.max.into(), range.divisor()));
                object.insert("increment".into(), number(range.increment.into(), range.divisor()));
                object.insert("unit".into(), range.unit().into());
            }
            Self::ControlPoint(value) => put_control_point(&mut object, value),
            Self::MachineStatus(status) => put_machine_status(&mut object, status),
        }
        put_issues(&mut object, self.issues());
        Value::Object(object)
    }
}

/// The readable form of a value that means nothing.
pub(super) fn error_to_json(error: FtmsError) -> Value {
    json!({ "error": error.name() })
}

const _: () = assert!(RESISTANCE_SHORT[0].divisor == 10);
