//! The head of a connection's first request, read before HTTP is set up for it.
//!
//! In: a stream of somebody unknown. Out: the stream once a whole head is there, or something that HTTP has to answer: garbage, too much, an end. hyper sets
//! 16 KiB aside for the first byte of a request; somebody who says nothing, or half of one, holds here what they said and little more. Nothing is
//! interpreted: hyper reads the same bytes again.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::stream::Stream;
use super::write_deadline::WriteDeadline;

/// Room for an ordinary head; it doubles for a longer one.
const FIRST_BYTES: usize = 1024;

/// A stream, and what was read of it before. Nobody stands behind it yet: its writes have a deadline.
pub(super) struct Opened {
    begun: Bytes,
    stream: Stream,
    deadline: WriteDeadline,
}

/// Reads until HTTP has something to decide; nothing where the stream fails. The caller keeps the deadline of the head; that of writes comes along.
pub(super) async fn read(mut stream: Stream, (bytes_max, headers_max): (usize, usize), write_within: Duration) -> Option<Opened> {
    let mut begun = BytesMut::with_capacity(FIRST_BYTES);
    loop {
        let read = stream.read_buf(&mut begun).await.ok()?;
        if read == 0 || begun.len() >= bytes_max || decided(&begun, headers_max) {
            return Some(Opened { begun: begun.freeze(), stream, deadline: WriteDeadline::of(write_within) });
        }
    }
}

/// Whether a head is whole, or wrong already.
fn decided(begun: &[u8], headers_max: usize) -> bool {
    let mut headers = vec![httparse::EMPTY_HEADER; headers_max];
    !matches!(httparse::Request::new(&mut headers).parse(begun), Ok(httparse::Status::Partial))
}

impl Opened {
    /// The stream, and what was read of it and taken by nobody yet.
    pub(super) fn into_parts(self) -> (Stream, Bytes) {
        (self.stream, self.begun)
    }

    fn in_time<T>(&mut self, cx: &mut Context<'_>, tried: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let kept = self.deadline.keep(cx, self.stream.taken(), tried);
        if matches!(&kept, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut) {
            // What the peer did not take for so long, the kernel need not offer for minutes more.
            drop(self.stream.tcp().set_zero_linger());
        }
        kept
    }
}

impl AsyncRead for Opened {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        if own.begun.is_empty() {
            return Pin::new(&mut own.stream).poll_read(cx, into);
        }
        let take = own.begun.len().min(into.remaining());
        into.put_slice(&own.begun[..take]);
        own.begun.advance(take);
        if own.begun.is_empty() {
            // The buffer goes with its last byte.
            own.begun = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Opened {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        let tried = Pin::new(&mut own.stream).poll_write(cx, bytes);
        own.in_time(cx, tried)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        let tried = Pin::new(&mut own.stream).poll_write_vectored(cx, bytes);
        own.in_time(cx, tried)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        let tried = Pin::new(&mut own.stream).poll_flush(cx);
        own.in_time(cx, tried)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        let tried = Pin::new(&mut own.stream).poll_shutdown(cx);
        own.in_time(cx, tried)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::{Instant, timeout};

    use super::*;

    const HEAD: &[u8] = b"GET /v1/ws HTTP/1.1\r\nHost: hub\r\n\r\n";
    const WITHIN: Duration = Duration::from_secs(8);

    async fn pair() -> (TcpStream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (peer, Stream::Tcp(listener.accept().await.unwrap().0))
    }

    #[test]
    fn a_head_is_waited_for_until_it_is_whole_or_wrong() {
        for cut in 0..HEAD.len() {
            assert!(!decided(&HEAD[..cut], 8), "{cut}");
        }
        assert!(decided(HEAD, 8));
        assert!(decided(b"GET / HTTP/1.1\n\n", 8), "line ends as hyper takes them");
        assert!(decided(b"\x16\x03\x01\x02\x00", 8), "TLS where none is spoken is answered at once");
        assert!(decided(b"GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC", 1), "too many headers are too many before the last");
    }

    #[tokio::test]
    async fn what_was_read_is_read_again_and_what_follows_after_it() {
        let (mut peer, stream) = pair().await;
        let all = [HEAD, &[7; 3000]].concat();
        let (first, rest) = all.split_at(9);
        peer.write_all(first).await.unwrap();
        let say = async {
            peer.write_all(rest).await.unwrap();
            peer.shutdown().await.unwrap();
        };
        let (opened, ()) = tokio::join!(read(stream, (16 * 1024, 64), WITHIN), say);
        let mut opened = opened.unwrap();
        let mut again = vec![0; 20];
        opened.read_exact(&mut again).await.unwrap();
        let (mut stream, left) = opened.into_parts();
        again.extend_from_slice(&left);
        stream.read_to_end(&mut again).await.unwrap();
        assert!(again == all, "{} of {} bytes", again.len(), all.len());
    }

    #[tokio::test]
    async fn an_end_and_a_head_without_one_are_handed_on() {
        let (peer, stream) = pair().await;
        drop(peer);
        assert!(read(stream, (16 * 1024, 64), WITHIN).await.unwrap().begun.is_empty());
        let (mut peer, stream) = pair().await;
        peer.write_all(&[&b"GET / HTTP/1.1\r\nA: "[..], &[b'a'; 8192]].concat()).await.unwrap();
        assert!(read(stream, (4096, 64), WITHIN).await.unwrap().begun.len() >= 4096);
    }

    #[tokio::test]
    async fn a_write_that_nobody_reads_ends_and_one_that_moves_does_not() {
        let (mut peer, stream) = pair().await;
        peer.write_all(HEAD).await.unwrap();
        let (within, pause) = (Duration::from_secs(4), Duration::from_millis(600));
        let mut opened = read(stream, (16 * 1024, 64), within).await.unwrap();
        let began = Instant::now();
        // Far more than the kernel holds, so slowly that the whole takes longer than the deadline.
        let answer = vec![7; 32 << 20];
        let mut taken = vec![0; 4 << 20];
        let reads = async {
            for _ in 0..8 {
                tokio::time::sleep(pause).await;
                peer.read_exact(&mut taken).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(opened.write_all(&answer), reads);
        written.unwrap();
        assert!(began.elapsed() > within, "{:?}", began.elapsed());
        let stood = Instant::now();
        let refused = timeout(within * 30, opened.write_all(&answer)).await.expect("it has a deadline").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        assert!(stood.elapsed() >= within, "{:?}", stood.elapsed());
    }
}
