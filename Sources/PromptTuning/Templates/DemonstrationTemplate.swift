import Compute

/// How demonstrations are chosen from their pool.
public enum DemonstrationSelection: String, Sendable, Hashable, Codable, CaseIterable {
  case none
  /// The first rows of the pool, in order.
  case fixed
  /// Rows drawn without replacement, anew for every example and every pass over the data.
  case random
  /// The rows of the pool whose inputs are most like the example's, the most similar one last.
  case retrieved
}

/// Other examples with their targets in front of the example (in-context learning, Brown et al., 2020).
///
/// A demonstration is ids(input + newline) followed by ids(target + two newlines). An example never demonstrates
/// itself: rows of the pool with the example's own file and line are left out.
public struct DemonstrationTemplate: Template {
  public let selection: DemonstrationSelection
  public let shots: Int
  public let pool: [Example]
  public let seed: UInt64
  private let rows: PoolRows
  private let neighbours: NeighbourTable?

  /// - Parameter neighbours: for retrieved demonstrations; every example is looked up before it is encoded.
  /// - Throws: `MethodError.refused` if the pool is too small for the shots asked for.
  public init(
    selection: DemonstrationSelection, shots: Int, pool: [Example], seed: UInt64, neighbours: NeighbourTable? = nil
  ) throws {
    precondition(neighbours != nil || selection != .retrieved, "retrieved demonstrations come from a table")
    guard selection != .none, shots > 0 else {
      throw MethodError.refused("demonstrations need a way to choose them and at least one shot")
    }
    guard pool.count >= shots else {
      throw MethodError.refused("\(shots) demonstrations are asked for, the pool has \(pool.count) examples")
    }
    self.selection = selection
    self.shots = shots
    self.pool = pool
    self.seed = seed
    self.neighbours = neighbours
    rows = PoolRows(pool)
  }

  public func demonstrations(for example: Example, round: Int) throws -> [Example] {
    let chosen: [Example]
    switch selection {
    case .none: chosen = []
    case .fixed:
      let own = rows.row(of: example)
      chosen = pool.indices.lazy.filter { $0 != own }.prefix(shots).map { pool[$0] }
    case .random: chosen = draw(for: example, round: round)
    case .retrieved: chosen = try found(for: example).reversed().map { pool[$0.index] }
    }
    guard chosen.count == shots else {
      throw MethodError.refused(
        "\(example.source): only \(chosen.count) of \(shots) demonstrations are left when the example is not its own")
    }
    return chosen
  }

  public func similarity(of example: Example) -> Double? { neighbours?.neighbours(of: example)?.first?.score }

  private func found(for example: Example) throws -> [Neighbour] {
    guard let found = neighbours?.neighbours(of: example) else {
      throw MethodError.refused("\(example.source): no demonstrations were looked up for it")
    }
    return found
  }

  private func draw(for example: Example, round: Int) -> [Example] {
    // One stream for each line and pass, so that the choice does not depend on batches or on order.
    var generator = Philox(
      seed: seed, stream: 0x6465_6D6F_0000_0000 ^ (UInt64(round) << 40) ^ UInt64(example.source.line))
    let own = rows.row(of: example)
    var chosen: [Int] = []
    var rejected: Set<Int> = []
    while chosen.count < shots, chosen.count + rejected.count < pool.count {
      let index = generator.nextIndex(below: pool.count)
      if chosen.contains(index) || rejected.contains(index) { continue }
      if index == own { rejected.insert(index) } else { chosen.append(index) }
    }
    return chosen.map { pool[$0] }
  }
}
