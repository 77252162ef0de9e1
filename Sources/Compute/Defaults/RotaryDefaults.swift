import Foundation

extension ComputeBackend {
  /// The default body: `x cosines + partners sines`, where the partners are copied columns and the two tables come from
  /// the host.
  ///
  /// It waits for the device to read the frequencies.
  public func rotary(_ x: Tensor, _ positions: Indices, _ attributes: RotaryAttributes, into output: Tensor) throws {
    let (heads, rotated) = (attributes.heads, attributes.rotaryDimensions)
    let headRows: Shape = [x.rowCount * heads, x.columnCount / heads]
    let (source, destination) = (try x.reshaped(headRows), try output.reshaped(headRows))
    if !isSameMemory(x, output), rotated < headRows.columns { try copy(x, to: output) }
    guard rotated > 0 else { return }

    let turned = try columns(0..<rotated, of: source)
    let partners = try allocate(turned.shape, .f32)
    if attributes.interleaved {
      let pairs: Shape = [turned.count / 2, 2]
      let (from, to) = (try turned.reshaped(pairs), try partners.reshaped(pairs))
      try copyColumns(from, from: 0, to: 1, width: 1, of: to)
      try copyColumns(from, from: 1, to: 0, width: 1, of: to)
    } else {
      try copyColumns(turned, from: 0, to: rotated / 2, width: rotated / 2, of: partners)
      try copyColumns(turned, from: rotated / 2, to: 0, width: rotated / 2, of: partners)
    }
    let tables = try rotaryTables(positions, attributes)
    // Every head of a token has the same angles.
    let tokens = try indices((0..<headRows.rows).map { Int32($0 / heads) })
    try multiply(turned, try gatherRows(tables.cosines, tokens), into: turned)
    try multiply(partners, try gatherRows(tables.sines, tokens), into: partners)
    try add(turned, partners, into: turned)
    try copyColumns(turned, from: 0, to: 0, width: rotated, of: destination)
  }

  /// What each rotated column and its partner are multiplied by, each `[tokens, rotaryDimensions]`.
  private func rotaryTables(_ positions: Indices, _ attributes: RotaryAttributes) throws
    -> (cosines: Tensor, sines: Tensor)
  {
    let frequencies = try values(attributes.inverseFrequencies)
    let width = attributes.rotaryDimensions
    var cosines = [Float](repeating: 0, count: positions.count * width)
    var sines = cosines
    for (token, position) in positions.values.enumerated() {
      for (pair, frequency) in frequencies.enumerated() {
        let angle = Double(position) * Double(frequency)
        let cosine = Float(Double(attributes.magnitude) * cos(angle))
        let sine = Float(Double(attributes.magnitude) * sin(angle)) * (attributes.inverse ? -1 : 1)
        let first = token * width + (attributes.interleaved ? 2 * pair : pair)
        let second = attributes.interleaved ? first + 1 : first + frequencies.count
        (cosines[first], cosines[second]) = (cosine, cosine)
        (sines[first], sines[second]) = (-sine, sine)
      }
    }
    let shape: Shape = [positions.count, width]
    return (try tensor(cosines, shape), try tensor(sines, shape))
  }
}
