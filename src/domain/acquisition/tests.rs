//! Orders against references, and what must hold of every order.
