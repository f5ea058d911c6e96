"""Read weights from files of other programs, without executing anything in them."""
