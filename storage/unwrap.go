package storage

// Unwrapper is implemented by decorators, so that optional interfaces of the store beneath can be found: see As.
type Unwrapper interface{ Unwrap() Store }

// As returns an optional interface, such as Browser, of a store or of what it decorates, outermost first, and false if none of them has it.
// Decorators in between are bypassed: one that must see the calls implements the interface, too.
func As[T any](s any) (ability T, ok bool) {
	for s != nil {
		if ability, ok = s.(T); ok {
			return ability, true
		}
		u, wraps := s.(Unwrapper)
		if !wraps {
			break
		}
		s = u.Unwrap()
	}
	return ability, false
}
