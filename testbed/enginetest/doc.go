// Package enginetest is what every testbed.Engine must do, as one suite: a new
// engine runs it, and what it does not pass it cannot do. The engines in
// testbed/docker and testbed/sim run it in their tests:
//
//	func TestEngine(t *testing.T) { enginetest.Test(t, host, enginetest.Options{}) }
//
// Most cases work on a cluster of four peers that has formed. To add one, write a
// testCase into the file of its group and its name into this list.
//
// Processes:
//   - before the start nothing runs
//   - a start is recorded, and peers find each other
//   - a running peer is left alone by start
//   - an unknown name is refused, and nobody is touched
//   - a killed peer is found dead by the others, and comes back
//   - a stopped peer leaves
//   - what does not run cannot be killed or paused, and stays stopped
//   - several are killed at once, and the error names who did not run
//   - peers join without the bootstrap service as soon as it is back
//   - a peer that quits tells so and has ended
//
// Pause, throttle and move:
//   - a paused peer is suspected, and refutes when it is resumed
//   - a peer paused for long is found dead, and comes back
//   - a paused peer is stopped with a farewell
//   - a paused peer is killed
//   - a line for a paused peer fails soon
//   - a throttled peer answers late, until the limit is lifted
//   - a throttle out of bounds is refused
//   - a running peer is not moved
//   - a moved peer is seen at an address that nobody had
//   - the bootstrap service is not moved
//
// Links:
//   - a partition has each side find the other dead, and a heal ends it
//   - a peer that cannot send is found dead
//   - a cut between two peers only kills nobody
//   - a link without UDP kills nobody
//   - a link without TCP carries no message of the chat until it is healed
//   - a link that loses everything is a cut
//   - a black hole for long packets kills nobody
//   - a link that loses each third packet loses no message of the chat
//   - a link with a rate carries messages of the chat
//   - a delay is felt, or refused before anything changes
//   - links replace all that was, and are recorded as what they are
//   - links that are like that already are not recorded
//   - a value of a link is taken back
//   - wrong links are refused, and those in force stay
//   - links to the bootstrap service are cut like any other
//   - links set before the start hold from the first packet on
//   - links are still there when a peer comes back or has moved
//
// History:
//   - each peer's events are counted without gaps, over several lives
//   - when kill returns, all that the peer reported is there
//   - when stop returns, its farewell is there
//   - a reader of the history ends with its context
//   - a note is kept in its place
//
// Lines in peers:
//   - a line's output comes back
//   - a command that fails is told as such
//   - a message reaches the others
//   - a line for nobody, or for who does not run, is an error
//   - a line ends with its context
//   - a line that runs fails when its peer is paused
//   - a line that runs fails when its peer is killed
//
// Close and refusals:
//   - a closed cluster does nothing more, and its history ends
//   - refuses a name twice
//   - refuses a name that is none
//   - refuses a setting that is none
//   - refuses a value that is none
//   - refuses a field of memberlist
//   - refuses settings of nobody
//   - refuses what the engine chooses
//   - refuses where the engine listens
package enginetest
