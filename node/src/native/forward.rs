//! The parts of `AsyncRead` and `AsyncWrite` that a wrapper leaves to what is in its field `inner`.

/// All of `AsyncRead`.
macro_rules! forward_read {
    ($wrapper:ident) => {
        impl<T: futures::AsyncRead + Unpin> futures::AsyncRead for $wrapper<T> {
            fn poll_read(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut self.inner).poll_read(cx, buf)
            }
        }
    };
}

/// All of `AsyncWrite`.
macro_rules! forward_write {
    ($wrapper:ident) => {
        impl<T: futures::AsyncWrite + Unpin> futures::AsyncWrite for $wrapper<T> {
            fn poll_write(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut self.inner).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
            }

            $crate::native::forward::forward_ends!();
        }
    };
}

/// What of `AsyncWrite` is no writing, within its implementation.
macro_rules! forward_ends {
    () => {
        fn poll_flush(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::pin::Pin::new(&mut self.inner).poll_flush(cx)
        }

        fn poll_close(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::pin::Pin::new(&mut self.inner).poll_close(cx)
        }
    };
}

pub(super) use {forward_ends, forward_read, forward_write};
