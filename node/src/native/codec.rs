//! One frame there, one frame back on a stream of its own: Waku's request/response protocols.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response;
use waku_groupchat_waku::framing::{self, MAX_PREFIX_LEN};

/// Room made before the first byte arrived; more only as bytes come in.
const FIRST_READ: usize = 16 * 1024;

/// Frames of bounded size. The limits hold for what is read; what is written is our own.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameCodec {
    /// Most bytes of a request's payload.
    pub(super) max_request: usize,
    /// Most bytes of a response's payload.
    pub(super) max_response: usize,
}

impl request_response::Codec for FrameCodec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, self.max_request).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, self.max_response).await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        payload: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&framing::encode_frame(&payload)).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        payload: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&framing::encode_frame(&payload)).await
    }
}

/// Reads one frame's payload. [`io::ErrorKind::InvalidData`] if its length is malformed or over
/// `max`, [`io::ErrorKind::UnexpectedEof`] if the stream ends before the frame.
async fn read_frame<T>(io: &mut T, max: usize) -> io::Result<Vec<u8>>
where
    T: AsyncRead + Unpin + Send,
{
    let len = read_prefix(io, max).await?;
    let mut payload = Vec::with_capacity(len.min(FIRST_READ));
    io.take(len as u64).read_to_end(&mut payload).await?;
    if payload.len() < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(payload)
}

async fn read_prefix<T>(io: &mut T, max: usize) -> io::Result<usize>
where
    T: AsyncRead + Unpin + Send,
{
    let mut prefix = [0; MAX_PREFIX_LEN];
    for read in 0..MAX_PREFIX_LEN {
        io.read_exact(&mut prefix[read..=read]).await?;
        match framing::decode_prefix(&prefix[..=read], max) {
            Ok(Some((len, _))) => return Ok(len),
            Ok(None) => {}
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
    // Unreachable: a full prefix is decoded or refused.
    Err(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    fn read(bytes: &[u8], max: usize) -> io::Result<Vec<u8>> {
        block_on(read_frame(&mut Cursor::new(bytes), max))
    }

    #[test]
    fn frames_are_read_up_to_the_limit() {
        for len in [0, 1, 127, 128, 16_384, 300_000] {
            let payload = vec![7; len];
            let frame = framing::encode_frame(&payload);
            assert_eq!(read(&frame, len).unwrap(), payload);
            if len > 0 {
                let error = read(&frame, len - 1).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                let error = read(&frame[..frame.len() - 1], len).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            }
        }
        assert_eq!(read(&[], 9).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read(&[0xff; 9], 9).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
