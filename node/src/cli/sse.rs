//! Server-sent events, as they come line by line (WHATWG HTML, section 9.2.6).

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// Its name; empty if it has none.
    pub(super) name: String,
    /// What to send as `Last-Event-ID` to go on after it.
    pub(super) id: Option<u64>,
    /// Its data.
    pub(super) data: String,
}

/// Makes frames of lines.
#[derive(Debug, Default)]
pub(super) struct Parser {
    frame: Frame,
    has_data: bool,
}

impl Parser {
    /// Takes a line without its end. Gives a frame at the empty line that ends it.
    pub(super) fn line(&mut self, line: &str) -> Option<Frame> {
        if line.is_empty() {
            let frame = std::mem::take(&mut self.frame);
            return std::mem::take(&mut self.has_data).then_some(frame);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.frame.name),
            "id" => self.frame.id = value.parse().ok(),
            "data" => {
                if self.has_data {
                    self.frame.data.push('\n');
                }
                self.has_data = true;
                self.frame.data.push_str(value);
            }
            // A comment has an empty field name; others are not for us.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_of_lines() {
        let text = ": hello\n\nid: 7\nevent: ready\nretry: 1000\ndata: {\"after\":7}\n\n:\n\n\
                    data:a\ndata\ndata:  b\n\nevent: lost\n\n";
        let mut parser = Parser::default();
        let frames: Vec<_> = text.split('\n').filter_map(|line| parser.line(line)).collect();
        let ready =
            Frame { name: "ready".to_owned(), id: Some(7), data: "{\"after\":7}".to_owned() };
        let plain = Frame { data: "a\n\n b".to_owned(), ..Frame::default() };
        assert_eq!(frames, [ready, plain]);
    }
}
