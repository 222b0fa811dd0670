//! Reading server-sent events.

/// A message of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The event, or nothing where only the position moves on.
    pub(super) data: String,
    /// The position, if the message has one.
    pub(super) id: Option<u64>,
}

/// Takes the bytes of a stream as they come, and gives messages.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Bytes of a line whose end has not come.
    open: Vec<u8>,
    data: Vec<String>,
    id: Option<u64>,
}

impl Reader {
    /// Takes a piece; gives the messages that end in it.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            self.open.extend_from_slice(line);
            if self.open.ends_with(b"\n") {
                let line = std::mem::take(&mut self.open);
                let line = String::from_utf8_lossy(&line);
                messages.extend(self.line(line.trim_end_matches(['\r', '\n'])));
            }
        }
        messages
    }

    fn line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let (data, id) = (std::mem::take(&mut self.data), self.id.take());
            let message = Message {
                data: data.join("\n"),
                id,
            };
            return (!message.data.is_empty() || message.id.is_some()).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.data.push(value.to_owned()),
            "id" => self.id = value.parse().ok(),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_however_they_are_cut() {
        let stream = b"retry: 1000\n\nid: 7\nevent: tag.moved\ndata: {\"a\":1}\n\n\
                       : beat\nid: 9\n\ndata: one\r\ndata:two\r\n\r\nid: 10\ndata: cut off";
        let expected = [("{\"a\":1}", Some(7)), ("", Some(9)), ("one\ntwo", None)];
        for size in 1..stream.len() {
            let mut reader = Reader::default();
            let messages = stream.chunks(size).flat_map(|piece| reader.take(piece));
            let read: Vec<_> = messages.map(|each| (each.data, each.id)).collect();
            let read: Vec<_> = read.iter().map(|(data, id)| (data.as_str(), *id)).collect();
            assert_eq!(read, expected, "in pieces of {size}");
        }
    }
}
