/// What several answers to one question come to.
public enum MajorityVote {
  /// The place of the winner: of the answers that most give, the first one.
  public static func winner(_ votes: [some Hashable]) -> Int {
    var counts: [AnyHashable: Int] = [:]
    for vote in votes { counts[vote, default: 0] += 1 }
    let most = counts.values.max() ?? 0
    return votes.firstIndex { counts[$0] == most } ?? 0
  }
}
