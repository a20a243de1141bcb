import MeridianCore

/// One request to change a group's members: the whole target, from which the algebra derives the joint step.
package struct MembershipChange: Hashable, Sendable {
    /// The members after the change. A voter that is not yet caught up must be added as a learner first.
    package var target: [Member]
    /// The rule that the target must be able to meet, if it is to be another one than the present.
    package var rule: CommitRule?

    package init(target: [Member], rule: CommitRule? = nil) {
        self.target = target
        self.rule = rule
    }
}
