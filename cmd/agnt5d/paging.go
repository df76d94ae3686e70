package main

// gather reads page after page of a list, until there are as many as wanted (0: all), and gives the cursor of what is left.
func gather[T any](limit int, cursor string, page func(n int, cursor string) ([]T, string, error)) (all []T, next string, err error) {
	all = []T{}
	for {
		n := 1000
		if limit > 0 {
			n = min(n, limit-len(all))
		}
		got, next, err := page(n, cursor)
		if err != nil {
			return nil, "", err
		}
		all = append(all, got...)
		if next == "" || limit > 0 && len(all) >= limit {
			return all, next, nil
		}
		cursor = next
	}
}
