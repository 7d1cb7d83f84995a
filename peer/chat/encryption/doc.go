// Package encryption keeps a chat among those who know its secret: mutual TLS
// between two members, and sealed messages in gossip.
//
// [Secret] is all of it; peer/chat is the only caller, and a chat without a secret
// does without this package. It knows nothing of messages and of members. Which
// secret is used when several are known, and for how long, is the user's to say:
// see Secret.
package encryption
