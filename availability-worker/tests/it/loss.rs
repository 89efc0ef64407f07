//! Redis loses what it holds, in the midst of everything else.
