package partition

// Held keeps what was put in a Tx until that is committed: what is thrown away with one is
// there again for the next. It is for what a handler's memory has moved on from and will not
// say again. The zero value is ready; to be used by the partition's owner only.
type Held[T any] struct {
	in  *Tx // that has put and is not known to be committed; nil: none
	put []T
}

// Again gives what was put in a Tx before this one that was thrown away, in its order; it
// is not held any more.
func (h *Held[T]) Again(tx *Tx) []T {
	if h.in == nil || h.in == tx {
		return nil
	}
	lost := h.put
	h.in, h.put = nil, nil
	return lost
}

// Put holds v until tx is committed. Again comes before it.
func (h *Held[T]) Put(tx *Tx, v T) {
	if h.in == nil {
		h.in = tx
		tx.After(func() { h.in, h.put = nil, nil })
	}
	h.put = append(h.put, v)
}
