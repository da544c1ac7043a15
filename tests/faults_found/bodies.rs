//! Request bodies and headers: what is read, in which order, and within which budget.
