//! How a peer connects.

use std::net::IpAddr;
use std::time::Duration;

use protocol::RoomName;
use protocol::frame::{Hello, JoinRoom};
use protocol::text::Text;
use protocol::wire::Encoding;

use crate::device::Device;

/// How a peer connects, and what its hello says.
#[derive(Debug, Clone)]
pub struct Options {
    /// Access token; empty for an enrolled device.
    pub token: String,
    /// The enrolled device that speaks, instead of a token.
    pub enrolled: Option<Device>,
    /// Encoding, offered as the subprotocol.
    pub encoding: Encoding,
    /// Rooms to join with the hello.
    pub rooms: Vec<JoinRoom>,
    /// Resume ticket of the session before.
    pub ticket: Option<String>,
    /// Which device of the subject.
    pub device: Option<String>,
    /// `Origin` header, as a browser sends it.
    pub origin: Option<String>,
    /// `SO_RCVBUF` before connecting: how much the kernel takes for a peer that does not read.
    pub receive_buffer_bytes: Option<u32>,
    /// Address of this side. One address has 28,000 ports, and Linux finds the last of them slowly: more than a few thousand
    /// peers of one machine need several, such as 127.0.0.2.
    pub from: Option<IpAddr>,
    /// How long waits last.
    pub patience: Duration,
}

impl Options {
    /// Everything by default: MessagePack, no rooms, 10 s of patience.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self {
            token: token.into(),
            enrolled: None,
            encoding: Encoding::MessagePack,
            rooms: Vec::new(),
            ticket: None,
            device: None,
            origin: None,
            receive_buffer_bytes: None,
            from: None,
            patience: Duration::from_secs(10),
        }
    }

    /// An enrolled device instead of a token.
    #[must_use]
    pub fn enrolled(device: Device) -> Self {
        Self { enrolled: Some(device), ..Self::new("") }
    }

    /// Speaks JSON.
    #[must_use]
    pub const fn json(mut self) -> Self {
        self.encoding = Encoding::Json;
        self
    }

    /// Names the device.
    #[must_use]
    pub fn device(mut self, device: impl Into<String>) -> Self {
        self.device = Some(device.into());
        self
    }

    /// Joins a room with the hello: every value, all fields, from a snapshot.
    #[must_use]
    pub fn room(mut self, room: RoomName) -> Self {
        self.rooms.push(JoinRoom { room, epoch: None, offset: 0, every_ms: 0, fields: 0 });
        self
    }

    /// Asks for the rooms of `before` too: a connection that broke before its joins were answered forgets none.
    #[must_use]
    pub fn rooms_of(mut self, before: &Self) -> Self {
        let forgotten = before.rooms.iter().filter(|join| self.rooms.iter().all(|asked| asked.room != join.room));
        let forgotten: Vec<JoinRoom> = forgotten.cloned().collect();
        self.rooms.extend(forgotten);
        self
    }

    /// The hello that these options make.
    #[must_use]
    pub fn hello(&self) -> Hello {
        Hello {
            token: Text::cut(&self.token),
            rooms: self.rooms.clone(),
            ticket: self.ticket.as_deref().map(Text::cut),
            client: Some(Text::cut(concat!("loadtest/", env!("CARGO_PKG_VERSION")))),
            device: self.device.as_deref().map(Text::cut),
            enrolled: self.enrolled.as_ref().map(|device| device.device),
        }
    }
}
