//! Where the halves meet: receive events, apply commands, file dialogs.
