//! Shapes that the protocol already describes, for the OpenAPI document.
//!
//! The protocol's types carry a JSON Schema of their own (schemars); the document refers to them by name and `openapi` puts them in, so that
//! no shape is described twice.

use protocol::frame::{Event, FloorMachine, MachineKind, OpenTicket, Role, SetDetail, Totals, VisitState, WorkoutStage};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use utoipa::openapi::{Ref, RefOr, Schema};

macro_rules! foreign {
    ($($function:ident $name:literal $kind:ty;)+) => {
        $(pub(super) fn $function() -> RefOr<Schema> { Ref::new(concat!("#/components/schemas/", $name)).into() })+

        /// All shapes with everything they refer to, by name.
        pub(super) fn all() -> Map<String, Value> {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            });
            let mut generator = SchemaGenerator::new(settings);
            $(generator.subschema_for::<$kind>();)+
            generator.take_definitions(true)
        }
    };
}

foreign! {
    event "Event" Event;
    floor_machine "FloorMachine" FloorMachine;
    machine_kind "MachineKind" MachineKind;
    open_ticket "OpenTicket" OpenTicket;
    role "Role" Role;
    set_detail "SetDetail" SetDetail;
    totals "Totals" Totals;
    visit_state "VisitState" VisitState;
    workout_stage "WorkoutStage" WorkoutStage;
}
