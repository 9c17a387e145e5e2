//! Our reading half of a WebSocket: any bytes of a peer, bounded and without a panic, and the same messages as tungstenite reads by itself.
//!
//! Input: the bytes that came with the upgrade request.

#![no_main]

use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use hub::transport::reader::{Heard, ReadError, Reader};
use hub::transport::stream::Stream;
use libfuzzer_sys::fuzz_target;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

const MAX: usize = 2048;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// A connection whose other end says nothing more.
fn silent() -> (Stream, TcpStream) {
    RUNTIME.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
        (Stream::Tcp(listener.accept().await.expect("accepted").0), client)
    })
}

thread_local! {
    static SOCKET: std::cell::RefCell<(Stream, TcpStream)> = std::cell::RefCell::new(silent());
}

fuzz_target!(|bytes: &[u8]| {
    let _entered = RUNTIME.enter();
    let (mut reader, mut answers) = (Reader::new(bytes, MAX), Vec::new());
    let mut oracle = {
        let config = WebSocketConfig::default().max_message_size(Some(MAX)).max_frame_size(Some(MAX));
        WebSocket::from_partially_read(Nothing, bytes.to_vec(), Role::Server, Some(config))
    };
    SOCKET.with_borrow_mut(|(stream, _client)| {
        for _ in 0..=bytes.len() {
            let heard = reader.poll(stream, &mut Context::from_waker(Waker::noop()), &mut answers);
            assert!(answers.len() <= 512, "answers of {} bytes for one thing heard", answers.len());
            answers.clear();
            let expected = oracle.read();
            match heard {
                Poll::Pending => return,
                Poll::Ready(Ok(Heard::Text(text))) => assert_eq!(expected.expect("read too"), Message::Text(text)),
                Poll::Ready(Ok(Heard::Binary(binary))) => {
                    assert!(binary.len() <= MAX);
                    assert_eq!(expected.expect("read too"), Message::Binary(binary));
                }
                Poll::Ready(Ok(Heard::Sign)) => assert!(matches!(expected, Ok(Message::Ping(_)))),
                Poll::Ready(Ok(Heard::Pong(bytes))) => assert!(matches!(expected, Ok(Message::Pong(same)) if same == bytes)),
                Poll::Ready(Ok(Heard::Goodbye(code))) => {
                    let Ok(Message::Close(close)) = expected else { panic!("a goodbye is {expected:?}") };
                    assert_eq!(code, close.map(|close| close.code.into()));
                    return;
                }
                // What is on the wire between two messages has a bound that tungstenite has not.
                Poll::Ready(Err(ReadError::TooBig { .. })) => return,
                Poll::Ready(Err(_)) => {
                    assert!(expected.is_err(), "refused and read as {expected:?}");
                    return;
                }
            }
        }
        panic!("more was heard than there were bytes");
    });
});

/// Nothing more to read; what is answered goes nowhere.
struct Nothing;

impl std::io::Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::WouldBlock.into())
    }
}

impl std::io::Write for Nothing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
