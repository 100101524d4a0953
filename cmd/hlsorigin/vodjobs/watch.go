package vodjobs

import "context"

func (s *Service) watch(ctx context.Context) { <-ctx.Done() }
