//! HTTP/1.1 and HTTP/2: answers that are not read and bodies that are refused.
