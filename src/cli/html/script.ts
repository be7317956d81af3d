/** Sorting and filtering. Without it the page says the same, in one order. */
export const SCRIPT = `
(function(){
var table=document.querySelector(".fleet");
if(!table)return;
var body=table.tBodies[0],heads=[].slice.call(table.tHead.rows[0].cells);
document.querySelector(".tools").hidden=false;
function value(row,index){var text=row.cells[index].getAttribute("data-v");return text===null?row.cells[index].textContent:text}
heads.forEach(function(head,index){
var button=head.querySelector("button");
if(!button)return;
button.addEventListener("click",function(){
var up=head.getAttribute("aria-sort")!=="ascending",numbers=head.hasAttribute("data-n");
heads.forEach(function(each){each.removeAttribute("aria-sort")});
head.setAttribute("aria-sort",up?"ascending":"descending");
[].slice.call(body.rows).sort(function(left,right){
var a=value(left,index),b=value(right,index);
if(a===""||b==="")return a===b?0:a===""?1:-1;
var order=numbers?Number(a)-Number(b):a.localeCompare(b);
return up?order:-order;
}).forEach(function(row){body.appendChild(row)});
});
});
var search=document.querySelector("input[type=search]"),only=document.querySelector("input[type=checkbox]");
function filter(){
var words=search.value.toLowerCase();
[].forEach.call(document.querySelectorAll("[data-host]"),function(each){
each.hidden=each.getAttribute("data-host").toLowerCase().indexOf(words)<0||(only.checked&&each.getAttribute("data-state")==="ok");
});
}
search.addEventListener("input",filter);
only.addEventListener("change",filter);
function open(){var target=location.hash&&document.getElementById(location.hash.slice(1));if(target&&target.tagName==="DETAILS")target.open=true}
addEventListener("hashchange",open);
open();
})();
`;
