//! What events and times are about.

/// What the event loop has to do at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A connection of the mock has a chunk to write.
    Chunk {
        /// Which connection.
        index: u32,
        /// Which of those that had this index.
        generation: u32,
    },
    /// A connection of the load begins.
    Begin {
        /// Which connection.
        index: u32,
        /// Which load.
        run: u32,
    },
    /// A load has lasted too long.
    GiveUp {
        /// Which load.
        run: u32,
    },
}

/// What an event is about; travels through the kernel as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// A command has come.
    Wake,
    /// A task is due.
    Timer,
    /// A client of the mock waits.
    Listener,
    /// A connection of the mock.
    Mock {
        /// Which connection.
        index: u32,
        /// Which of those that had this index.
        generation: u32,
    },
    /// A connection of the load.
    Load {
        /// Which connection.
        index: u32,
        /// Which load.
        run: u32,
    },
}

impl Token {
    /// Generations and runs have 24 bits.
    pub(crate) const GENERATION_MASK: u32 = 0x00ff_ffff;

    /// The number that stands for it in an event.
    pub(crate) fn to_number(self) -> u64 {
        let (kind, generation, index) = match self {
            Self::Wake => (0, 0, 0),
            Self::Timer => (1, 0, 0),
            Self::Listener => (2, 0, 0),
            Self::Mock { index, generation } => (3, generation, index),
            Self::Load { index, run } => (4, run, index),
        };
        kind << 56 | u64::from(generation & Self::GENERATION_MASK) << 32 | u64::from(index)
    }

    /// What a number stands for.
    pub(crate) fn from_number(number: u64) -> Self {
        let index = number as u32;
        let generation = (number >> 32) as u32 & Self::GENERATION_MASK;
        match number >> 56 {
            0 => Self::Wake,
            1 => Self::Timer,
            2 => Self::Listener,
            3 => Self::Mock { index, generation },
            _ => Self::Load { index, run: generation },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_kernel() {
        for token in [
            Token::Wake,
            Token::Timer,
            Token::Listener,
            Token::Mock {
                index: 0,
                generation: 0,
            },
            Token::Mock {
                index: u32::MAX,
                generation: Token::GENERATION_MASK,
            },
            Token::Load { index: 7, run: 12 },
        ] {
            assert_eq!(Token::from_number(token.to_number()), token);
        }
    }
}
