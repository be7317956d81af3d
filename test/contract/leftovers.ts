export { KEY, type Leftover, type Opened, STATUS } from "../../src/destination/contract/subject.ts";
