// Package players has real players watch shows that go wrong: publishers that are killed, late, silent or changed, alone and
// as rungs of a ladder. It is tests only, plays with the program as users run it, and knows nothing of the server's inside.
package players
