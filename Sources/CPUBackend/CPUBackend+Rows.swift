import CPUTiles
import Compute
import Foundation

extension CPUBackend {
  public func gatherRows(_ table: Tensor, _ indices: Indices, into output: Tensor) throws {
    let (source, element, width) = (table.bytes, table.element, table.dtype.byteCount)
    let (rows, destination, n) = (indices.tensor.integers, output.floats, table.columnCount)
    workers.runRanges(indices.count, grain: Self.rowGrain(n)) { range, _ in
      for i in range { tiles.widen(element, source + Int(rows[i]) * n * width, destination + i * n, Int64(n)) }
    }
  }

  public func scatterAddRows(_ updates: Tensor, _ indices: Indices, onto accumulator: Tensor) throws {
    let (source, rows, destination) = (updates.floats, indices.tensor.integers, accumulator.floats)
    let (n, count) = (updates.columnCount, indices.count)
    // Each task owns columns, so that equal rows add up in the order of the updates.
    workers.runRanges(n, grain: Self.columnGrain) { columns, _ in
      for i in 0..<count {
        tiles.addScaled(
          source + i * n + columns.lowerBound, 1, destination + Int(rows[i]) * n + columns.lowerBound,
          Int64(columns.count))
      }
    }
  }

  public func scatterRows(_ source: Tensor, _ indices: Indices, into destination: Tensor) throws {
    let (from, rows, to, n) = (source.floats, indices.tensor.integers, destination.floats, source.columnCount)
    let bytes = n * MemoryLayout<Float>.stride
    workers.runRanges(indices.count, grain: Self.rowGrain(n)) { range, _ in
      for i in range { memcpy(to + Int(rows[i]) * n, from + i * n, bytes) }
    }
  }

  public func copyColumns(_ source: Tensor, from: Int, to: Int, width: Int, of destination: Tensor) throws {
    let (x, y) = (source.floats + from, destination.floats + to)
    let (ldx, ldy, bytes) = (source.columnCount, destination.columnCount, width * MemoryLayout<Float>.stride)
    let bypasses = bypassesCaches(
      source.rowCount * width, rows: y, strideInBytes: ldy * MemoryLayout<Float>.stride)
    workers.runRanges(source.rowCount, grain: Self.rowGrain(width)) { rows, _ in
      for row in rows {
        if bypasses {
          tiles.copyPast(x + row * ldx, y + row * ldy, Int64(width))
        } else {
          memcpy(y + row * ldy, x + row * ldx, bytes)
        }
      }
    }
  }

  public func columnSums(_ x: Tensor, into output: Tensor) throws {
    let (source, destination, n, rows) = (x.floats, output.floats, x.columnCount, Int64(x.rowCount))
    workers.runRanges(n, grain: Self.columnGrain) { columns, _ in
      tiles.columnSums(
        source + columns.lowerBound, Int64(n), rows, Int64(columns.count), destination + columns.lowerBound)
    }
  }

  public func argmaxRows(_ x: Tensor, into output: Tensor) throws {
    let (source, destination, n) = (x.floats, output.integers, x.columnCount)
    workers.runRanges(x.rowCount, grain: Self.rowGrain(n)) { rows, _ in
      for row in rows { destination[row] = Int32(tiles.argmax(source + row * n, Int64(n))) }
    }
  }

  public func rotary(_ x: Tensor, _ positions: Indices, _ attributes: RotaryAttributes, into output: Tensor) throws {
    let (source, destination, n) = (x.floats, output.floats, x.columnCount)
    let (places, frequencies) = (positions.tensor.integers, attributes.inverseFrequencies.floats)
    let (heads, pairs) = (attributes.heads, attributes.inverseFrequencies.count)
    let width = n / heads
    let magnitude = Double(attributes.magnitude)
    let sign: Double = attributes.inverse ? -1 : 1
    workers.runRanges(positions.count, grain: max(1, Self.rowGrain(n) / 4)) { tokens, worker in
      let cosines = workers.floats(2 * pairs, worker: worker)
      let sines = cosines + pairs
      for token in tokens {
        // In Double: far positions would lose digits of the angle in Float.
        for i in 0..<pairs {
          let angle = Double(places[token]) * Double(frequencies[i])
          cosines[i] = Float(cos(angle) * magnitude)
          sines[i] = Float(sign * sin(angle) * magnitude)
        }
        for head in 0..<heads {
          let first = token * n + head * width
          tiles.rotate(
            source + first, cosines, sines, Int64(pairs), Int64(width), attributes.interleaved ? 1 : 0,
            destination + first)
        }
      }
    }
  }
}
