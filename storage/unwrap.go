package storage

// Unwrapper is what a decorator implements, so that an ability of the store below it can be found: see As.
type Unwrapper interface{ Unwrap() Store }

// As finds an ability, such as Browser, of a store or of what it decorates, the outermost first; false where none of them
// has it. A decorator that stands between has no say in what is done then: one that has to see it implements it too.
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
